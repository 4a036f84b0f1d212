// The tabs: arrow keys, Home and End move between them, and the address names the one that shows.
// A panel hears "shown" and "left", so that nothing is drawn, and no socket open, for nobody.

const tabs = [...document.querySelectorAll("[role=tab]")];
const panelOf = (tab) => document.getElementById(tab.getAttribute("aria-controls"));

function select(tab) {
  for (const other of tabs) {
    const isSelected = other === tab;
    const panel = panelOf(other);
    const wasShown = !panel.hidden;
    other.setAttribute("aria-selected", isSelected);
    other.tabIndex = isSelected ? 0 : -1;
    panel.hidden = !isSelected;
    if (wasShown && !isSelected) panel.dispatchEvent(new Event("left"));
  }
  history.replaceState(null, "", `#${panelOf(tab).id}`);
  document.title = `${tab.textContent} · Longwire demo`;
  panelOf(tab).dispatchEvent(new Event("shown"));
}

const steps = { ArrowRight: 1, ArrowLeft: -1 };

for (const [index, tab] of tabs.entries()) {
  tab.onclick = () => select(tab);
  tab.onkeydown = (event) => {
    let next = index + (steps[event.key] ?? 0);
    if (event.key === "Home") next = 0;
    else if (event.key === "End") next = tabs.length - 1;
    else if (!(event.key in steps)) return;
    event.preventDefault();
    const other = tabs[(next + tabs.length) % tabs.length];
    select(other);
    other.focus();
  };
}

function followAddress() {
  select(tabs.find((tab) => `#${panelOf(tab).id}` === location.hash) ?? tabs[0]);
}

addEventListener("hashchange", followAddress);
addEventListener("load", followAddress); // by now every panel listens
