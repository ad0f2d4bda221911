/** What differs between two texts, word by word; Chinese by character. */

export interface Piece {
  text: string;
  kind: "same" | "gone" | "new";
}

// above this, comparing takes too long to be worth it: the texts are shown whole
const MOST_WORDS = 600;

export function wordsOf(text: string): string[] {
  return text.match(/[\p{Script=Han}]|[\p{L}\p{N}_]+|\s+|[^\p{L}\p{N}\s]/gu) ?? [];
}

/** The longest common subsequence decides what stayed. Joined without "new" it is `before`, without "gone" `after`. */
export function differenceOf(before: string, after: string): Piece[] {
  const [a, b] = [wordsOf(before), wordsOf(after)];
  if (before === after) return before ? [{ text: before, kind: "same" }] : [];
  if (a.length > MOST_WORDS || b.length > MOST_WORDS) {
    return [{ text: before, kind: "gone" as const }, { text: after, kind: "new" as const }].filter(({ text }) => text);
  }
  const width = b.length + 1;
  const longest = new Uint16Array((a.length + 1) * width);
  const at = (i: number, j: number) => longest[i * width + j] as number;
  for (let i = a.length - 1; i >= 0; i--) {
    for (let j = b.length - 1; j >= 0; j--) {
      longest[i * width + j] = a[i] === b[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const pieces: Piece[] = [];
  const add = (text: string, kind: Piece["kind"]) => {
    const last = pieces.at(-1);
    if (last?.kind === kind) last.text += text;
    else pieces.push({ text, kind });
  };
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length) {
    if (i < a.length && j < b.length && a[i] === b[j]) {
      add(a[i] as string, "same");
      i++;
      j++;
    } else if (i < a.length && (j === b.length || at(i + 1, j) >= at(i, j + 1))) add(a[i++] as string, "gone");
    else add(b[j++] as string, "new");
  }
  return pieces;
}
