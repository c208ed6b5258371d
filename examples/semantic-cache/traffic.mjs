/**
 * Questions as users send them: those of questions/, in which every paragraph is an answer (`> …`) and ways to ask for
 * it. Users greet and thank, some questions are asked far more often than others, and wordings come again.
 */
import { readdirSync, readFileSync } from "node:fs";
import { randomOf } from "./embedding.mjs";

const openings = [
  "",
  "",
  "",
  "",
  "Hello, ",
  "Hi, ",
  "Excuse me, ",
  "Quick question: ",
  "Sorry to ask again: ",
];
const closings = ["", "", "", "", ", please", " Thanks!", " Thank you very much", " It is urgent"];
/** Wordings for each question in which the traffic deals. */
const wordingsEach = 10;
/** The greater, the more often the popular ones come. */
const skew = 2;

const folder = new URL("questions/", import.meta.url);

/** Every question with the answer that is right for it. */
function readQuestions() {
  return readdirSync(folder).flatMap((file) => {
    let answer = "";
    return String(readFileSync(new URL(file, folder)))
      .trimEnd()
      .split("\n")
      .flatMap((line) => {
        if (!line.startsWith("> ")) return { text: line, answer };
        answer = line.slice(2);
        return [];
      });
  });
}

/** `count` questions, the same for the same seed; `isNew` where this wording has not come before. */
export function traffic(count, seed) {
  const random = randomOf(seed);
  const pick = (list) => list[Math.floor(list.length * random())];
  const wordings = readQuestions().flatMap(({ text, answer }) =>
    Array.from({ length: wordingsEach }, () => ({ text: pick(openings) + text + pick(closings), answer })),
  );
  shuffle(wordings, random);
  const seen = new Set();
  return Array.from({ length: count }, () => {
    const wording = wordings[Math.floor(wordings.length * random() ** skew)];
    const isNew = !seen.has(wording.text);
    seen.add(wording.text);
    return { ...wording, isNew };
  });
}

function shuffle(list, random) {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j], list[i]];
  }
}
