// The dashboard: figures once a second, while somebody looks; rates are differences of counters.

import { Chart } from "./chart.js";
import { addressOf, Connection } from "./connection.js";
import { byId, element, showState } from "./page.js";

const RATES = ["received", "sent", "delivered"];
const SECONDS = 60;
const ROWS = 10;

const panel = byId("dashboard");
const chart = new Chart(byId("chart"), RATES, SECONDS);

let previous = null;

const connection = new Connection("/ws/dashboard", {
  onMessage(figures) {
    connection.welcomed();
    for (const target of panel.querySelectorAll("[data-figure]")) {
      target.textContent = format(target.dataset.figure, figures[target.dataset.figure]);
    }
    // After a restart the counters begin again.
    const isNext = previous && figures.at > previous.at && RATES.every((name) => !(figures[name] < previous[name]));
    if (isNext) addRates(figures, figures.at - previous.at);
    else if (previous) chart.points = [];
    previous = figures;
  },
  onState(state, words) {
    showState(byId("dashboard-state"), state, state === "online" ? "live" : words);
  },
});

function format(name, value) {
  if (value === undefined) return "not told";
  if (name === "memory") return `${(value / 1024 / 1024).toFixed(1)} MiB`;
  return value.toLocaleString();
}

function addRates(figures, seconds) {
  const point = { at: figures.at };
  for (const name of RATES) {
    point[name] = Math.round(((figures[name] ?? 0) - (previous[name] ?? 0)) / seconds);
    panel.querySelector(`[data-rate=${name}]`).textContent = point[name].toLocaleString();
  }
  chart.add(point);
  const row = element("tr");
  const time = new Date().toLocaleTimeString([], { timeStyle: "medium" });
  row.append(element("th", "", time), ...RATES.map((name) => element("td", "", point[name])));
  row.firstChild.scope = "row";
  byId("rows").prepend(row);
  while (byId("rows").childElementCount > ROWS) byId("rows").lastElementChild.remove();
  describe();
}

// The chart in words, for who cannot see it; no live region, as it would never be silent.
function describe() {
  const [received, sent, delivered] = RATES.map((name) => chart.highest(name).toLocaleString());
  byId("chart-text").textContent =
    `Most within the last minute: ${received} messages received in a second, ${sent} sent, ` +
    `${delivered} delivered by the hub.`;
}

// Five sockets in a room of the chat, of which one says something twenty times a second.
const LISTENERS = 5;
const MESSAGES = 100;
const EVERY = 50; // milliseconds

byId("traffic").onclick = () => {
  byId("traffic").disabled = true;
  const room = `traffic ${Math.random().toString(36).slice(2, 8)}`;
  const sockets = Array.from({ length: LISTENERS }, (_, number) => {
    const socket = new WebSocket(addressOf("/ws/chat"));
    socket.onopen = () => socket.send(JSON.stringify({ type: "join", name: `listener ${number}`, room }));
    return socket;
  });
  let said = 0;
  const timer = setInterval(() => {
    if (said === MESSAGES) {
      clearInterval(timer);
      for (const socket of sockets) socket.close();
      byId("traffic").disabled = false;
    } else if (sockets[0].readyState === WebSocket.OPEN) {
      said += 1;
      sockets[0].send(JSON.stringify({ type: "say", text: `message ${said}`, ref: String(said) }));
    } else if (sockets[0].readyState === WebSocket.CLOSED) {
      said = MESSAGES;
    }
  }, EVERY);
};

panel.addEventListener("shown", () => connection.open());
panel.addEventListener("left", () => {
  previous = null;
  chart.points = [];
  connection.close();
});
