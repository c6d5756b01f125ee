// Requests and streams of events. While the server does not answer the page says so, and goes on by itself afterwards.
import { byId, root } from "./dom.js";

const RETRY_MS = 1000;
const troubles = new Map();

/** Show a sentence of trouble under a name, or take it away with null. */
export function trouble(name, sentence) {
  if (sentence) troubles.set(name, sentence);
  else troubles.delete(name);
  const shown = byId("trouble");
  // While the server does not answer, nothing else that it said is known to hold.
  const text = troubles.get("stream") ?? [...troubles.values()].join(" ");
  if (shown.textContent !== text) shown.textContent = text;
  shown.hidden = !text;
}

/** Say why what the server knows is not up to date, such as a broker that is away. */
export function showServed({ problem }) {
  trouble("served", problem && `${problem[0].toUpperCase()}${problem.slice(1)}. This page goes on by itself when that is over.`);
}

/** Follow a stream of events while the page is seen; handlers by event name get the data.
 *  `onReturn` is called when it is back after a gap, in which events were missed. */
export function follow(url, handlers, onReturn = () => {}) {
  let source, timer, gap = false;
  const close = () => {
    clearTimeout(timer);
    source?.close();
    source = undefined;
    gap = true;
  };
  const open = () => {
    if (source || document.hidden) return;
    source = new EventSource(url);
    source.onopen = () => {
      trouble("stream", null);
      if (gap) onReturn();
      gap = false;
    };
    source.onerror = () => {
      close();
      trouble("stream", "The server does not answer. Trying again every second; what you see is as it was.");
      timer = setTimeout(open, RETRY_MS);
      signInAgain();
    };
    for (const [name, handle] of Object.entries(handlers)) {
      source.addEventListener(name, (event) => handle(JSON.parse(event.data)));
    }
  };
  open();
  // A hidden tab needs none of a browser's few connections to a server.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
}

/** Go to the sign-in where that is why a stream was refused: its time is over, or its key was taken away. */
async function signInAgain() {
  try {
    if ((await fetch(`${root}/items`)).status === 401) location.reload();
  } catch { /* the server is away */ }
}

/** Ask the server; a refusal is an Error whose message is a sentence for people. */
export async function ask(url, body, { signal, headers } = {}) {
  const options = body === undefined ? { signal } : {
    method: "POST", signal, headers: { "Content-Type": "application/json", ...headers }, body: JSON.stringify(body),
  };
  let answer;
  try {
    answer = await fetch(url, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The server does not answer: try again in a moment.");
  }
  const content = (answer.headers.get("Content-Type") ?? "").includes("json") ? await answer.json() : {};
  if (!answer.ok) throw new Error(content.detail ?? content.title ?? `The server refused this (${answer.status}).`);
  return content;
}
