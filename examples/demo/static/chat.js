// The chat. `seat` is who we are and where, and what we have seen of it; with it we come back.

import { Connection } from "./connection.js";
import { addLine, byId, element, showState, timeOf } from "./page.js";

const TYPING_EVERY = 2000; // milliseconds between two words that we are typing
const TYPING_LASTS = 3000; // and how long others' are believed

const log = byId("log");
const text = byId("text");

let seat = null;
let present = new Map(); // names by the ids of connections: somebody who returns has two, for a while
let typing = new Map(); // timers by name
let lastTyped = 0;
let lostAt = 0;
let backNote = null; // the line that says so when we are back: there reading goes on
let pending = null; // what we said and have not seen yet

const connection = new Connection("/ws/chat", {
  onOpen() {
    const { name, room, me, since } = seat;
    connection.send({ type: "join", name, room, me, ...(since && { since }) });
  },
  onMessage: (message) => told[message.type]?.(message),
  onState(state, words) {
    showState(byId("chat-state"), state, words);
    byId("say").querySelector("button").disabled = state !== "online";
    if (state === "waiting" && seat?.id && !lostAt) {
      lostAt = Date.now();
      note(words === "offline" ? "You are offline" : "The connection was lost");
    }
  },
  onRefused(reason) {
    leave();
    byId("refused").textContent = reason;
  },
});

const told = {
  history({ is_whole, count }) {
    log.setAttribute("aria-live", "off"); // a screen reader is told how many, not all of them
    if (!seat.since) {
      if (count) note(count === 1 ? "1 earlier message" : `${count} earlier messages`);
      return;
    }
    const back = `Back after ${Math.max(1, Math.round((Date.now() - lostAt) / 1000))} s`;
    const messages = count === 1 ? "1 message" : `${count} messages`;
    if (is_whole) backNote = note(`${back}: ${count ? `${messages} missed` : "nothing was missed"}`, "back");
    else if (count) backNote = note(`${back}: some messages are lost, here are the last ${count}`, "gap");
    else backNote = note(`${back}: the server has forgotten what was said before`, "gap");
  },

  said(message) {
    seat.since = message.position;
    said(message);
    if (pending?.ref === message.ref) pending = null;
    stopTyping(message.name);
  },

  you({ id, name, position }) {
    seat.id = id;
    seat.name = name;
    seat.since = position;
    lostAt = 0;
    backNote?.scrollIntoView({ block: "start" });
    backNote = null;
    log.setAttribute("aria-live", "polite");
    connection.welcomed();
    showState(byId("chat-state"), "online", `connected as ${name}`);
    if (pending) {
      // It was on its way when the connection broke, and has not arrived: they decide.
      note("Your last message did not get through; it is in the field again");
      if (!text.value) text.value = pending.text;
      pending = null;
    }
  },

  here({ people }) {
    present = new Map(people.map(({ id, name }) => [id, name]));
    showPeople();
  },

  joined({ id, name }) {
    if (id !== seat.id && ![...present.values()].includes(name)) note(`${name} joined`);
    present.set(id, name);
    showPeople();
  },

  left({ id, name }) {
    present.delete(id);
    if (![...present.values()].includes(name)) note(`${name} left`);
    stopTyping(name);
    showPeople();
  },

  typing({ name }) {
    clearTimeout(typing.get(name));
    typing.set(name, setTimeout(() => stopTyping(name), TYPING_LASTS));
    showTyping();
  },
};

function note(words, kind = "") {
  return addLine(log, element("li", `note ${kind}`, words));
}

function said({ name, text, at }) {
  const line = element("li", name === seat.name ? "said mine" : "said");
  if (lostAt) line.classList.add("missed");
  const by = element("div", "by");
  by.append(element("strong", "", name), timeOf(new Date(at)));
  line.append(by, element("p", "", text));
  addLine(log, line);
  if (name === seat.name && !lostAt) log.scrollTop = log.scrollHeight;
}

function showPeople() {
  const names = [...new Set(present.values())].sort((a, b) => a.localeCompare(b));
  byId("count").textContent = `(${names.length})`;
  byId("people").replaceChildren(
    ...names.map((name) => element("li", name === seat.name ? "me" : "", name)),
  );
}

function stopTyping(name) {
  clearTimeout(typing.get(name));
  typing.delete(name);
  showTyping();
}

function showTyping() {
  const names = [...typing.keys()];
  const who = names.length > 2 ? "Several people" : names.join(" and ");
  byId("typing").textContent = who && `${who} ${names.length > 1 ? "are" : "is"} typing…`;
}

function leave() {
  seat = pending = null;
  lostAt = 0;
  connection.close();
  byId("conversation").hidden = true;
  byId("join").hidden = false;
  byId("name").focus();
}

byId("join").onsubmit = (event) => {
  event.preventDefault();
  const name = byId("name").value.trim();
  const room = byId("room").value.trim();
  if (!name || !room) return;
  const secret = crypto.getRandomValues(new Uint8Array(12));
  seat = { name, room, me: Array.from(secret, (byte) => byte.toString(16).padStart(2, "0")).join("") };
  present = new Map();
  typing.forEach((timer) => clearTimeout(timer));
  typing = new Map();
  showTyping();
  byId("refused").textContent = "";
  byId("room-title").textContent = room;
  log.replaceChildren();
  byId("join").hidden = true;
  byId("conversation").hidden = false;
  text.focus();
  connection.open();
};

byId("say").onsubmit = (event) => {
  event.preventDefault();
  const words = text.value.trim();
  const ref = `${Date.now()}-${Math.random().toString(36).slice(2)}`;
  if (!words || !connection.send({ type: "say", text: words, ref })) return;
  pending = { text: words, ref };
  text.value = "";
  lastTyped = 0;
};

text.oninput = () => {
  if (text.value && Date.now() - lastTyped > TYPING_EVERY) {
    lastTyped = Date.now();
    connection.send({ type: "typing" });
  }
};

byId("leave").onclick = leave;
byId("chat").addEventListener("shown", () => {
  if (!seat && document.activeElement === document.body) byId("name").focus();
});
