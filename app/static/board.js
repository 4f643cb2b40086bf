// The board works without this file. With it: characters left, times as "5 minutes ago", word of newer notes.
"use strict";

const LOOK_EVERY_MS = 30_000;
const UNITS = [
  ["year", 31_536_000],
  ["month", 2_592_000],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

function countCharacters() {
  const hint = document.querySelector("[data-counts]");
  const area = hint && document.getElementById(hint.dataset.counts);
  if (!area) {
    return;
  }
  const show = () => {
    const left = Number(hint.dataset.limit) - area.value.length;
    hint.textContent = `${left} ${left === 1 ? "character" : "characters"} left.`;
  };
  area.addEventListener("input", show);
  show();
}

function showAges() {
  const words = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
  for (const time of document.querySelectorAll("time")) {
    const seconds = (new Date(time.dateTime).getTime() - Date.now()) / 1000;
    const [unit, size] = UNITS.find(([, length]) => Math.abs(seconds) >= length) ?? ["second", 0];
    time.title ||= time.textContent;
    time.textContent = size ? words.format(Math.trunc(seconds / size), unit) : "just now";
  }
}

async function lookForNews() {
  const news = document.querySelector(".news");
  if (!news || document.hidden) {
    return;
  }
  const answer = await fetch(`${news.dataset.api}?after=${encodeURIComponent(news.dataset.newerThan)}`);
  if (!answer.ok) {
    return;
  }
  const { notes } = await answer.json();
  if (notes.length > 0 && !news.querySelector("a")) {
    const link = document.createElement("a");
    link.href = location.pathname;
    link.textContent = "There are newer notes. Show them";
    news.append(link);
  }
}

countCharacters();
showAges();
setInterval(() => {
  showAges();
  // A failed look is tried again at the next one.
  lookForNews().catch(() => {});
}, LOOK_EVERY_MS);
