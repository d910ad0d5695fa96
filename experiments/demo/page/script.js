// The page: what is asked stands in the address (#compare?left=…&right=…, #search?question=…), so that a result can be
// linked; whenever the address changes, the server is asked and its answer shown. Text is never taken for HTML.
"use strict";

// the rest is of the collection
const ANSWER = ["asked", "similarity", "probability", "duplicate", "known_words", "cut", "number", "question"];
const panels = { compare: document.getElementById("compare-panel"), search: document.getElementById("search-panel") };
const tabs = { compare: document.getElementById("compare-tab"), search: document.getElementById("search-tab") };
const show = { compare: showComparison, search: showFound };
const latest = { compare: 0, search: 0 }; // request of each panel; an answer that comes late is dropped

function select(name) {
  for (const each of Object.keys(panels)) {
    panels[each].hidden = each !== name;
    tabs[each].setAttribute("aria-selected", each === name);
    tabs[each].tabIndex = each === name ? 0 : -1;
  }
}

async function ask(path, body) {
  let response;
  try {
    const sent = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    response = await fetch(path, sent);
  } catch {
    throw new Error(texts.silent);
  }
  const answer = await response.json().catch(() => ({ error: texts.failed(response.status) }));
  if (!response.ok) throw new Error(translated(answer.error));
  return answer;
}

async function followAddress() {
  const [wanted, query] = location.hash.slice(1).split("?");
  const name = wanted in panels ? wanted : "compare";
  select(name);
  if (query === undefined) return;
  const panel = panels[name];
  const form = panel.querySelector("form");
  for (const [key, value] of new URLSearchParams(query)) if (form.elements[key]) form.elements[key].value = value;
  const request = ++latest[name];
  panel.setAttribute("aria-busy", "true");
  let answer, problem;
  try {
    const { top, ...asked } = Object.fromEntries(new FormData(form));
    answer = await ask(name, top === undefined ? asked : { ...asked, top: Number(top) });
  } catch (error) {
    problem = error;
  }
  if (request !== latest[name]) return;
  panel.removeAttribute("aria-busy");
  panel.querySelector(".error").hidden = !problem;
  panel.querySelector(".error").textContent = problem ? sentence(problem.message) : "";
  for (const field of form.querySelectorAll("textarea")) field.setAttribute("aria-invalid", !field.value.trim());
  panel.querySelector("[role=status]").textContent = "";
  panel.querySelector(".result").hidden = Boolean(problem);
  if (answer) show[name](panel, answer);
}

function showComparison(panel, answer) {
  const part = (name) => panel.querySelector(`.${name}`);
  const similarity = answer.similarity.toFixed(4);
  const threshold = answer.threshold.toFixed(4);
  part("verdict").textContent = answer.duplicate ? texts.same : texts.different;
  part("verdict").classList.toggle("same", answer.duplicate);
  part("bar").setAttribute("aria-valuenow", similarity);
  part("bar").setAttribute("aria-valuetext", texts.threshold(similarity, threshold));
  part("fill").style.width = `${100 * answer.similarity}%`;
  part("fill").classList.toggle("same", answer.duplicate);
  part("threshold").style.left = `${100 * answer.threshold}%`;
  part("similarity").textContent = similarity;
  part("probability").textContent = percent(answer.probability);
  part("from").textContent = threshold;
  part("note").textContent = answer.note;
  const read = answer.known_words.map((known, side) => reading(side, known, answer.cut[side]));
  part("unread").textContent = read.join(" ");
  part("words").innerHTML = answer.html; // escaped by the server
  for (const said of part("words").querySelectorAll("caption, figcaption")) said.textContent = translated(said.textContent);
  for (const word of part("words").querySelectorAll("[title]")) word.title = translated(word.title);
}

// What of a question (0, 1: of a pair; 2: the one to look for) the model does not read: `known` is its share of known
// words, null if that is not told.
function reading(side, known, cut) {
  const guess = known !== null && known < 0.5;
  const said = guess ? texts.unread(percent(known), texts.sides[side]) : "";
  return said + (cut ? ` ${texts.cut(texts.sides[side])}` : "");
}

function showFound(panel, { rows, known_words = null, cut = false }) {
  panel.querySelector(".unread").textContent = reading(2, known_words, cut);
  const others = Object.keys(rows[0] ?? {}).filter((name) => !ANSWER.includes(name));
  const same = rows.filter((row) => row.duplicate).length;
  panel.querySelector(".found").textContent = texts.found(rows.length, same);
  const head = [...texts.columns, ...others].map((name) => element("th", { scope: "col" }, name));
  panel.querySelector("thead tr").replaceChildren(...head);
  panel.querySelector("tbody").replaceChildren(...rows.map((row) => tableRow(row, others)));
}

function tableRow(row, others) {
  const pair = new URLSearchParams({ left: row.asked, right: row.question });
  const link = element("a", { href: `#compare?${pair}`, title: texts.compareIt }, row.question);
  return element(
    "tr",
    { class: row.duplicate ? "same" : "" },
    element("td", {}, link),
    element("td", { class: "number" }, row.similarity.toFixed(4)),
    element("td", {}, texts.verdict(row.duplicate)),
    ...others.map((name) => element("td", { "data-column": name }, row[name])),
  );
}

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

// Links that ask, each with the fields of a form.
function showExamples(name, examples) {
  const links = examples.map((asked) => {
    return element("a", { href: `#${name}?${new URLSearchParams(asked)}` }, Object.values(asked).join(" · "));
  });
  panels[name].querySelector(".examples").replaceChildren(texts.examples, ...links);
}

const percent = (share) => `${(100 * share).toFixed(1)} %`;
const sentence = (text) => text.charAt(0).toUpperCase() + text.slice(1);

for (const [name, panel] of Object.entries(panels)) {
  const form = panel.querySelector("form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const address = `#${name}?${new URLSearchParams(new FormData(form))}`;
    if (location.hash === address) followAddress();
    else location.hash = address;
  });
  form.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || event.target.tagName !== "TEXTAREA") return;
    event.preventDefault();
    form.requestSubmit();
  });
  tabs[name].addEventListener("click", () => (location.hash = name));
}

document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const names = Object.keys(tabs);
  const now = names.findIndex((name) => tabs[name] === event.target);
  const next = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: names.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const name = names[(next + names.length) % names.length];
  tabs[name].focus();
  location.hash = name;
});

document.documentElement.lang = language;
for (const each of document.querySelectorAll("[data-text]")) each.textContent = texts[each.dataset.text];
for (const each of document.querySelectorAll("[data-label]")) each.setAttribute("aria-label", texts[each.dataset.label]);
[document.getElementById("left").value, document.getElementById("right").value] = texts.pairs[0];
showExamples("compare", texts.pairs.map(([left, right]) => ({ left, right })));
showExamples("search", texts.asked.map((question) => ({ question })));
window.addEventListener("hashchange", followAddress);
followAddress();

ask("about")
  .then(({ collection, questions, note, model }) => {
    document.querySelector("footer").textContent = texts.answers(model);
    document.querySelector(".collection").textContent = texts.collection(questions.toLocaleString(language), collection);
    panels.search.querySelector(".note").textContent = note;
  })
  .catch(() => {}); // whoever asks something will be told
