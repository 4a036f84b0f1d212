// An editor without a page: y-websocket in Node, which does as it is told by lines on stdin.
//
// node editor.cjs MODULES ADDRESS LETTER
// edit, rest                          begin and stop to edit at random, each time with the letter
// text                                answer with {"text": ..., "state": ..., "is_synced": ...}

const { createRequire } = require("node:module");
const readline = require("node:readline");

const [modules, address, letter] = process.argv.slice(2);
const load = createRequire(`${modules}/`);
const Y = load("yjs");
const { WebsocketProvider } = load("y-websocket");

const doc = new Y.Doc();
const text = doc.getText("text");
const provider = new WebsocketProvider(address, "notes", doc, {
  WebSocketPolyfill: load("ws").WebSocket,
  disableBc: true,
});
provider.awareness.setLocalStateField("user", { name: `Node ${letter}` });

let timer = null;

function change() {
  const at = Math.floor(Math.random() * (text.length + 1));
  if (Math.random() < 0.3) text.delete(at, Math.min(3, text.length - at));
  else text.insert(at, Math.random() < 0.1 ? "\n" : letter.repeat(1 + Math.floor(Math.random() * 3)));
}

const commands = {
  edit: () => (timer = setInterval(change, 40)),
  rest: () => clearInterval(timer),
  text() {
    const state = Buffer.from(Y.encodeStateVector(doc)).toString("hex");
    const clients = [...Y.decodeStateVector(Buffer.from(state, "hex"))].sort();
    console.log(JSON.stringify({ text: text.toString(), state: clients, is_synced: provider.synced }));
  },
};

readline.createInterface({ input: process.stdin })
  .on("line", (line) => commands[line]())
  .on("close", () => process.exit(0));
