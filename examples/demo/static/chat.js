"use strict";

// One socket at a time. `seat` is who we are and where; while it is set, a lost socket is replaced.

const byId = (id) => document.getElementById(id);

const FIRST_DELAY = 250; // milliseconds before the first try to reconnect; doubles up to:
const LAST_DELAY = 10_000;

let seat = null;
let socket = null;
let myName = "";
let tries = 0;
let timer = 0;

function show(state, text) {
  byId("state").dataset.state = state;
  byId("state").textContent = text;
  byId("say").querySelector("button").disabled = state !== "online";
}

function connect() {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  show("waiting", tries ? "reconnecting…" : "connecting…");
  socket = new WebSocket(`${scheme}//${location.host}/ws`);
  socket.onopen = () => socket.send(JSON.stringify({ type: "join", ...seat }));
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = (event) => lost(event.code, event.reason);
}

function lost(code, reason) {
  socket = null;
  if (!seat) return;
  if (code === 1003 || code === 1008) {
    leave();
    show("offline", reason || "refused");
    return;
  }
  const why = code === 1012 ? "server restarting" : "connection lost";
  if (!tries) note(`${why[0].toUpperCase()}${why.slice(1)}`);
  // Doubled each time, and spread at random: everyone else lost theirs at the same moment.
  const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** tries) * (0.5 + Math.random());
  tries += 1;
  show("waiting", `${why}, reconnecting…`);
  timer = setTimeout(connect, delay);
}

function receive(message) {
  if (message.type === "you") {
    myName = message.name;
    if (tries) note("Back again");
    tries = 0;
    show("online", `connected as ${myName}`);
  } else if (message.type === "said") {
    said(message);
  } else {
    people(message.people);
    if (message.name !== myName) note(`${message.name} ${message.type}`);
  }
}

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text; // never as HTML: strangers wrote it
  return made;
}

function add(line) {
  const log = byId("log");
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 60;
  log.append(line);
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function note(text) {
  add(element("li", "note", text));
}

function said({ name, text, at }) {
  const line = element("li", name === myName ? "said mine" : "said");
  const by = element("div", "by");
  const time = element("time", "", new Date(at).toLocaleTimeString([], { timeStyle: "short" }));
  time.dateTime = new Date(at).toISOString();
  by.append(element("strong", "", name), time);
  line.append(by, element("p", "", text));
  add(line);
}

function people(names) {
  byId("count").textContent = `(${names.length})`;
  byId("people").replaceChildren(
    ...names.map((name) => element("li", name === myName ? "me" : "", name)),
  );
}

function leave() {
  seat = null;
  clearTimeout(timer);
  if (socket) socket.close(1000);
  byId("chat").hidden = true;
  byId("entrance").hidden = false;
  show("offline", "not connected");
  byId("name").focus();
}

byId("join").onsubmit = (event) => {
  event.preventDefault();
  const name = byId("name").value.trim();
  const room = byId("room").value.trim();
  if (!name || !room) return;
  seat = { name, room };
  tries = 0;
  byId("title").textContent = `# ${room}`;
  byId("log").replaceChildren();
  byId("entrance").hidden = true;
  byId("chat").hidden = false;
  byId("text").focus();
  connect();
};

byId("say").onsubmit = (event) => {
  event.preventDefault();
  const text = byId("text").value.trim();
  if (!text || !socket || socket.readyState !== WebSocket.OPEN) return;
  socket.send(JSON.stringify({ type: "say", text }));
  byId("text").value = "";
};

byId("leave").onclick = leave;
show("offline", "not connected");
