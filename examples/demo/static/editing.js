// CodeMirror on a text of Yjs, which y-websocket keeps the same everywhere.

import { EditorView, basicSetup } from "codemirror";
import { keymap } from "@codemirror/view";
import { yCollab, yUndoManagerKeymap } from "y-codemirror.next";
import { WebsocketProvider } from "y-websocket";
import * as Y from "yjs";

import { addressOf } from "./connection.js";
import { betterColour, classOf, cursors, nameOf, placeOf } from "./cursors.js";
import { byId, element, showState } from "./page.js";

const look = EditorView.theme({
  "&": { color: "var(--ink)", backgroundColor: "var(--card)" },
  "&.cm-focused": { outline: "none" }, // the card around it has one
  ".cm-content": { caretColor: "var(--ink)", fontFamily: "inherit", padding: "12px 0 24px" },
  ".cm-cursor": { borderLeftColor: "var(--ink)" },
  ".cm-gutters": { color: "var(--faint)", backgroundColor: "var(--card)", border: "0" },
  ".cm-activeLine, .cm-activeLineGutter": { backgroundColor: "color-mix(in srgb, var(--accent) 8%, transparent)" },
  "&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground": {
    backgroundColor: "color-mix(in srgb, var(--accent) 30%, transparent)",
  },
  ".cm-selectionMatch": { backgroundColor: "color-mix(in srgb, var(--accent) 12%, transparent)" },
  ".cm-panels": { color: "var(--ink)", backgroundColor: "var(--paper)" },
});

export function start(parent) {
  const doc = new Y.Doc();
  const text = doc.getText("text");
  const provider = new WebsocketProvider(addressOf("/ws/documents"), "notes", doc, {
    disableBc: true, // other windows of this browser are other people, too
  });
  const { awareness } = provider;

  const name = byId("editor-name");
  name.value = `Guest ${doc.clientID % 1000}`;
  let colour = doc.clientID;
  const introduce = () => awareness.setLocalStateField("user", { name: name.value.trim() || "Somebody", colour });
  introduce();
  name.onchange = introduce;

  const view = new EditorView({
    doc: text.toString(),
    extensions: [
      keymap.of(yUndoManagerKeymap),
      basicSetup,
      EditorView.cspNonce.of(document.querySelector("script[type=importmap]").nonce),
      EditorView.lineWrapping,
      EditorView.contentAttributes.of({ "aria-label": "Shared notes", "aria-describedby": "editor-state" }),
      look,
      yCollab(text, null), // with our own cursors: see there
      cursors(text, awareness),
      EditorView.updateListener.of((update) => update.docChanged && showPeople()),
    ],
    parent,
  });

  const lineOf = (place) => view.state.doc.lineAt(Math.min(place, view.state.doc.length)).number;
  const showPeople = () => {
    const people = [...awareness.getStates()].filter(([, state]) => state.user);
    people.sort(([, one], [, other]) => nameOf(one).localeCompare(nameOf(other)));
    byId("editors").replaceChildren(
      ...people.map(([id, state]) => {
        const isMe = id === doc.clientID;
        const item = element("li", `${classOf(id, state)} ${isMe ? "me" : ""}`, nameOf(state));
        const place = isMe ? null : placeOf(state.cursor?.head, text);
        if (place !== null) item.append(element("span", "line", `line ${lineOf(place)}`));
        return item;
      }),
    );
  };
  awareness.on("change", () => {
    const better = betterColour(awareness);
    if (better !== undefined) {
      colour = better;
      introduce(); // which is a change again
    } else showPeople();
  });
  showPeople();

  let isSynced = false;
  const showConnection = () => {
    if (provider.wsconnected && isSynced) showState(byId("editor-state"), "online", "connected");
    else if (isSynced) showState(byId("editor-state"), "waiting", "reconnecting; what you write is kept");
    else showState(byId("editor-state"), "waiting", "connecting…");
  };
  provider.on("status", showConnection);
  provider.on("sync", (synced) => {
    isSynced ||= synced;
    showConnection();
  });
  showConnection();
}
