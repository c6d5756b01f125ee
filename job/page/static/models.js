// Models: moving a pointer asks for the key, and says what came of it.
import { byId, root } from "./dom.js";
import { ask } from "./net.js";

const dialog = byId("confirm");
let move = null;

for (const button of document.querySelectorAll("[data-move]")) {
  button.addEventListener("click", () => {
    const { move: kind, model, version } = button.dataset;
    move = { kind, model, version };
    byId("confirm-title").textContent = kind === "promote" ? `Promote ${model} ${version}?` : `Roll ${model} back?`;
    byId("go").textContent = kind === "promote" ? "Promote" : "Roll back";
    byId("refused").textContent = "";
    byId("key").value = "";
    dialog.showModal();
  });
}
byId("cancel").addEventListener("click", () => dialog.close());
dialog.querySelector("form").addEventListener("submit", async (event) => {
  event.preventDefault();
  byId("go").disabled = true;
  byId("refused").textContent = "";
  try {
    await ask(`${root}/models/${move.kind}`, { model: move.model, version: move.version }, { headers: { "X-Recloop-Key": byId("key").value } });
    location.reload();
  } catch (error) {
    byId("refused").textContent = error.message;
  } finally {
    byId("go").disabled = false;
  }
});
