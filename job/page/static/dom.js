// Elements from data. Texts go in as text alone, so titles and ids never become markup.
export const root = document.body.dataset.root;
export const byId = (id) => document.getElementById(id);

/** An element with a class and children; strings among them become text. */
export function el(name, { className = "", text, ...attributes } = {}, ...children) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children);
  return made;
}

const numbers = new Intl.NumberFormat("en-GB");
export const count = (value) => (value === null || value === undefined ? "–" : numbers.format(value));
export const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");
export const userLink = (user) => el("a", { href: userUrl(user), text: user });

/** The address of a user's page; an id of one or two dots would be taken for a folder in a path. */
export function userUrl(user) {
  const name = encodeURIComponent(user);
  return /^\.{1,2}$/.test(user) ? `${root}/users?id=${name}` : `${root}/users/${name}`;
}

/** How long something took or ago it was, from milliseconds. */
export function span(ms) {
  if (ms === null || ms === undefined) return "–";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const s = ms / 1000;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 120) return `${Math.round(s)} s`;
  return s < 7200 ? `${Math.round(s / 60)} min` : `${Math.round(s / 3600)} h`;
}

/** A time as a clock's if it was today, else the day. */
export function when(ms) {
  const at = new Date(ms);
  return at.toDateString() === new Date().toDateString() ? clock(ms) : at.toLocaleDateString("en-GB", { dateStyle: "medium" });
}
