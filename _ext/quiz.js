// Self-test quizzes: the button "Check" shows what belongs to the answer given. Without this script the questions stand
// as they are, each with its answers folded below.
"use strict";

const read = text => {
  const [top, bottom = "1", ...rest] = text.replace(/\s/g, "").replace(",", ".").replace(/^[−–]/, "-").split("/");
  return top && bottom && !rest.length ? Number(top) / Number(bottom) : NaN;
};

// The item of the list of answers that belongs to what was chosen or written; undefined if nothing was.
const belonging = question => {
  const items = [...question.querySelectorAll("[data-answer]")];
  const chosen = question.querySelector("input[type=radio]:checked");
  if (chosen) return items.find(item => item.dataset.answer === chosen.value);
  const value = read(question.querySelector("input[type=text]")?.value ?? "");
  const near = item => Math.abs(value - item.dataset.answer) <= 1.0001 * item.dataset.tolerance;
  return Number.isFinite(value) ? items.find(near) ?? items.at(-1) : undefined;
};

for (const question of document.querySelectorAll(".gansde-quiz fieldset")) {
  const status = question.querySelector("[role=status]");
  const check = async () => {
    const item = belonging(question);
    await window.MathJax?.startup?.promise; // so that formulas are copied as they are shown
    const said = [...(item?.childNodes ?? [])].slice(1).map(node => node.cloneNode(true));
    const wanted = question.querySelector("input[type=text]") ? "Write a number first, such as 0.5 or 1/2." : "Choose an answer first.";
    status.replaceChildren(...(item ? said : [wanted]));
  };
  question.querySelectorAll("[hidden]").forEach(node => (node.hidden = false));
  question.querySelector("button").addEventListener("click", check);
  question.addEventListener("keydown", event => event.key === "Enter" && event.target.matches("input") && check());
  question.addEventListener("input", () => status.replaceChildren());
}
