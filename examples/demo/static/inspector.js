// The inspector: one plain socket, and everything that happens on it.

import { addressOf } from "./connection.js";
import { addLine, byId, element, showState, timeOf } from "./page.js";

const CODES = {
  1000: "normal", 1001: "going away", 1002: "protocol error", 1003: "unsupported data",
  1005: "no code was sent", 1006: "lost, without a close", 1007: "invalid data",
  1008: "policy violation", 1009: "message too big", 1011: "internal error",
  1012: "service restart", 1013: "try again later",
}; // prettier-ignore
const SHOWN = 200; // characters of a message
const TOO_BIG = 64 * 1024; // the sockets here take 16 KiB
const ROUNDS = 5;
const ANSWERING = new Set(["/ws/echo", "/ws/commands"]);
const PATIENCE = 5000; // milliseconds for the answer of a round trip

const encoder = new TextEncoder();

let socket = null;
let closedWith = null; // the reason that this page gave: browsers tell only the other side's
let onAnswer = null; // while a round trip is measured: where messages go as well

function describe(code) {
  const name = CODES[code] ?? (code < 3000 ? "reserved" : code < 4000 ? "registered" : "the application’s own");
  return `${code}, ${name}`;
}

function trace(kind, label, size, words) {
  const line = element("li", kind);
  line.append(timeOf(new Date(), "medium"), element("b", "", label));
  line.append(element("span", "size", size === null ? "" : `${size.toLocaleString()} B`));
  line.append(element("code", "", words.length > SHOWN ? `${words.slice(0, SHOWN)}…` : words));
  addLine(byId("messages"), line, 200);
}

function traceMessage(kind, data) {
  const label = kind === "sent" ? "↑ sent" : "↓ received";
  if (typeof data === "string") {
    trace(kind, `${label} text`, encoder.encode(data).length, data);
  } else {
    const start = Array.from(data.subarray(0, SHOWN / 3), (byte) => byte.toString(16).padStart(2, "0"));
    trace(kind, `${label} binary`, data.length, start.join(" ") + (data.length > start.length ? " …" : ""));
  }
}

function connect(path) {
  return new Promise((resolve) => {
    socket?.close(1000);
    byId("path").value = path;
    byId("round-trip-time").textContent = "";
    byId("details").textContent = "";
    closedWith = null;
    showState(byId("inspector-state"), "waiting", "connecting…");
    const made = (socket = new WebSocket(addressOf(path)));
    const begun = performance.now();
    made.binaryType = "arraybuffer";
    made.onopen = () => {
      const extensions = made.extensions || "no extensions";
      showState(byId("inspector-state"), "online", `connected to ${path}`);
      byId("details").textContent = `opened in ${(performance.now() - begun).toFixed(0)} ms; ${extensions}`;
      trace("event", "opened", null, `${path}, ${extensions}`);
      resolve(made);
    };
    made.onmessage = ({ data }) => {
      const message = typeof data === "string" ? data : new Uint8Array(data);
      traceMessage("received", message);
      onAnswer?.(message);
    };
    made.onclose = ({ code, reason }) => {
      const by = code === 1006 ? "by nobody" : closedWith !== null ? "by this page" : "by the server";
      const why = reason || closedWith;
      const words = `${describe(code)}${why ? `: “${why}”` : ""}`;
      trace("event", `closed ${by}`, null, words);
      if (socket !== made) return;
      socket = null;
      showState(byId("inspector-state"), "offline", `closed ${by}: ${words}`);
    };
  });
}

function send(data) {
  if (socket?.readyState !== WebSocket.OPEN) {
    showState(byId("inspector-state"), "offline", "connect first");
    return;
  }
  traceMessage("sent", data);
  socket.send(data);
}

async function connectedTo(path) {
  const isOpen = socket?.readyState === WebSocket.OPEN && new URL(socket.url).pathname === path;
  if (!isOpen) await connect(path);
}

async function measure() {
  if (!socket || !ANSWERING.has(new URL(socket.url).pathname)) await connect("/ws/echo");
  const times = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    const word = JSON.stringify({ do: "echo", value: `round trip ${round + 1}` });
    const begun = performance.now();
    const answered = new Promise((resolve) => {
      onAnswer = resolve;
      setTimeout(resolve, PATIENCE, null);
    });
    send(word);
    if ((await answered) === null) break;
    times.push(performance.now() - begun);
  }
  onAnswer = null;
  times.sort((a, b) => a - b);
  byId("round-trip-time").textContent =
    times.length < ROUNDS
      ? "There was no answer."
      : `${times[0].toFixed(1)} ms at best, ${times[ROUNDS >> 1].toFixed(1)} ms in the middle, of ${ROUNDS}`;
}

byId("dial").onsubmit = (event) => {
  event.preventDefault();
  connect(byId("path").value);
};

byId("send").onsubmit = (event) => {
  event.preventDefault();
  const words = byId("payload").value;
  send(event.submitter?.value === "binary" ? encoder.encode(words) : words);
};

byId("close").onsubmit = async (event) => {
  event.preventDefault();
  const code = Number(byId("code").value);
  const reason = byId("reason").value;
  if (event.submitter?.value === "server") {
    await connectedTo("/ws/commands");
    send(JSON.stringify({ do: "close", code, reason }));
    return;
  }
  if (!socket) {
    showState(byId("inspector-state"), "offline", "connect first");
    return;
  }
  try {
    socket.close(code, reason);
    closedWith = reason;
  } catch (error) {
    trace("event", "not closed", null, error.message);
    showState(byId("inspector-state"), "online", `a page may not close with ${describe(code)}`);
  }
};

byId("too-big").onclick = async () => {
  await connectedTo("/ws/echo");
  send("x".repeat(TOO_BIG));
};

byId("no-json").onclick = async () => {
  await connectedTo("/ws/commands");
  send('{"do": "echo", "value": ');
};

byId("round-trip").onclick = measure;
byId("clear").onclick = () => byId("messages").replaceChildren();
