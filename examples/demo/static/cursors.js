// Where the others are. What y-codemirror.next has for it puts their colours into style attributes
// as they send them, and a strict policy does not let it; here people have a class and a name.

import { Annotation } from "@codemirror/state";
import { Decoration, ViewPlugin, WidgetType } from "@codemirror/view";
import * as Y from "yjs";

const COLOURS = 6;
const othersMoved = Annotation.define();

const colourOf = (id, state) => (Number.isInteger(state.user?.colour) ? Math.abs(state.user.colour) : id) % COLOURS;
export const classOf = (id, state) => `person-${colourOf(id, state)}`;
export const nameOf = (state) => String(state.user?.name ?? "Somebody").slice(0, 24);

// Returns a colour for us that nobody has who was here first; undefined if ours is as good.
export function betterColour(awareness) {
  const others = [...awareness.getStates()].filter(([id, state]) => id !== awareness.clientID && state.user);
  const mine = colourOf(awareness.clientID, awareness.getLocalState());
  const isTaken = others.some(([id, state]) => id < awareness.clientID && colourOf(id, state) === mine);
  const taken = new Set(others.map(([id, state]) => colourOf(id, state)));
  return isTaken ? [...Array(COLOURS).keys()].find((colour) => !taken.has(colour)) : undefined;
}

// Returns the place in the text that a position stands for, null for none: others may send anything.
export function placeOf(position, text) {
  try {
    const relative = Y.createRelativePositionFromJSON(position);
    const place = Y.createAbsolutePositionFromRelativePosition(relative, text.doc);
    return place?.type === text ? place.index : null;
  } catch {
    return null;
  }
}

class Caret extends WidgetType {
  constructor(person, name, place) {
    super();
    this.person = person;
    this.name = name;
    this.place = place; // who moves is drawn anew, and shows the name for a while
  }

  eq(other) {
    return other.person === this.person && other.name === this.name && other.place === this.place;
  }

  toDOM() {
    const caret = document.createElement("span");
    caret.className = `caret ${this.person}`;
    caret.dataset.name = this.name;
    caret.ariaHidden = "true"; // the list of people has the line, and the text is not theirs
    return caret;
  }

  ignoreEvent() {
    return true;
  }
}

export function cursors(text, awareness) {
  return ViewPlugin.fromClass(
    class {
      constructor(view) {
        this.decorations = Decoration.none;
        this.onChange = ({ added, updated, removed }) => {
          const isOthers = [...added, ...updated, ...removed].some((id) => id !== awareness.clientID);
          if (isOthers) view.dispatch({ annotations: othersMoved.of(true) });
        };
        awareness.on("change", this.onChange);
      }

      destroy() {
        awareness.off("change", this.onChange);
      }

      update(update) {
        if (update.selectionSet || update.docChanged || update.focusChanged) this.tell(update.state);
        this.decorations = this.draw(update.state.doc.length);
      }

      // Positions are relative to what they stand beside, and move with it.
      tell(state) {
        const { anchor, head } = state.selection.main;
        const relative = (place) => Y.createRelativePositionFromTypeIndex(text, place);
        const cursor = { anchor: relative(anchor), head: relative(head) };
        const told = awareness.getLocalState()?.cursor;
        const isSame = told && Y.compareRelativePositions(told.anchor, cursor.anchor) && Y.compareRelativePositions(told.head, cursor.head);
        if (!isSame) awareness.setLocalStateField("cursor", cursor);
      }

      draw(length) {
        const drawn = [];
        for (const [id, state] of awareness.getStates()) {
          if (id === awareness.clientID || !state.cursor) continue;
          const anchor = placeOf(state.cursor.anchor, text);
          const head = placeOf(state.cursor.head, text);
          if (anchor === null || head === null || Math.max(anchor, head) > length) continue;
          const person = classOf(id, state);
          const selected = Decoration.mark({ class: `selection ${person}` });
          if (anchor !== head) drawn.push(selected.range(Math.min(anchor, head), Math.max(anchor, head)));
          const caret = new Caret(person, nameOf(state), head);
          drawn.push(Decoration.widget({ widget: caret, side: head > anchor ? -1 : 1 }).range(head));
        }
        return Decoration.set(drawn, true);
      }
    },
    { decorations: (plugin) => plugin.decorations },
  );
}
