// The editor's tab: everything else comes when somebody looks, if it is installed.

import { byId } from "./page.js";

let isStarted = false;

byId("editor").addEventListener("shown", async () => {
  if (isStarted) return;
  isStarted = true;
  let editing;
  try {
    editing = await import("./editing.js");
  } catch {
    byId("missing").hidden = false; // the modules are not there
    return;
  }
  byId("desk").hidden = false;
  editing.start(byId("paper"));
});
