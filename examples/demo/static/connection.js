// A socket that is replaced when it is lost: at once when the network is back, else with delays that
// double, spread at random, as everyone else lost theirs at the same moment.

const FIRST_DELAY = 250; // milliseconds
const LAST_DELAY = 10_000;

const FINAL = new Set([1003, 1008]); // the server will not have us: nothing gets better by trying

export function addressOf(path) {
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  return `${scheme}//${location.host}${path}`;
}

export class Connection {
  #socket = null;
  #timer = 0;
  #tries = 0;
  #isWanted = false;
  #isRestarting = false; // the server said so, and has not been seen since

  // onOpen(), onMessage(data), onState(state, text); onRefused(reason) if there is no coming back.
  constructor(path, handlers) {
    this.path = path;
    this.handlers = handlers;
    addEventListener("online", () => this.#isWanted && !this.#socket && this.#connect());
    addEventListener("offline", () => this.#socket && this.#drop());
  }

  open() {
    this.#isWanted = true;
    this.#tries = 0;
    if (!this.#socket) this.#connect();
  }

  close() {
    this.#isWanted = false;
    clearTimeout(this.#timer);
    this.#drop();
    this.#tell("offline", "not connected");
  }

  // Returns whether it could be sent.
  send(message) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return false;
    this.#socket.send(JSON.stringify(message));
    return true;
  }

  // The server let us in, in its own words: an open socket alone may still be refused.
  welcomed() {
    this.#tries = 0;
    this.#isRestarting = false;
    this.#tell("online", "connected");
  }

  #connect() {
    clearTimeout(this.#timer);
    const socket = new WebSocket(addressOf(this.path));
    this.#socket = socket;
    this.#tell("waiting", this.#tries ? "reconnecting…" : "connecting…");
    socket.onopen = () => this.handlers.onOpen?.();
    socket.onmessage = (event) => this.handlers.onMessage(JSON.parse(event.data));
    socket.onclose = (event) => this.#lost(event.code, event.reason);
  }

  #drop() {
    const socket = this.#socket;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null; // it may take long to notice
    socket.close();
    this.#lost(1006, "");
  }

  #lost(code, reason) {
    this.#socket = null;
    if (!this.#isWanted) return;
    if (FINAL.has(code)) {
      this.#isWanted = false;
      this.#tell("offline", reason || "refused");
      this.handlers.onRefused?.(reason || "refused");
      return;
    }
    const delay = Math.min(LAST_DELAY, FIRST_DELAY * 2 ** this.#tries) * (0.5 + Math.random());
    this.#tries += 1;
    if (navigator.onLine) this.#timer = setTimeout(() => this.#connect(), delay);
    this.#isRestarting ||= code === 1012;
    const why = this.#isRestarting ? "server restarting" : "connection lost";
    this.#tell("waiting", navigator.onLine ? `${why}, reconnecting…` : "offline");
  }

  #tell(state, text) {
    if (this.state === text) return; // a live region says it once
    this.state = text;
    this.handlers.onState(state, text);
  }
}
