// What all tabs use.

export const byId = (id) => document.getElementById(id);

// What people wrote is text, never HTML.
export function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

export function showState(target, state, text) {
  target.dataset.state = state;
  target.textContent = text;
}

export function timeOf(date, timeStyle = "short") {
  const time = element("time", "", date.toLocaleTimeString([], { timeStyle }));
  time.dateTime = date.toISOString();
  return time;
}

// Adds a line to a list that scrolls, and stays at its end unless somebody reads further up.
export function addLine(list, line, limit = 500) {
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 60;
  list.append(line);
  while (list.childElementCount > limit) list.firstElementChild.remove();
  if (isAtEnd) list.scrollTop = list.scrollHeight;
  return line;
}
