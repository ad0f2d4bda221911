/** One conversation with one model: what was said, what is being said, and how long it took. */
import { useCallback, useEffect, useRef, useState } from "react";
import { useTranslation } from "react-i18next";
import { ApiError } from "../../api";
import { readDraft, useOwner, writeDraft } from "../run";
import { complete, type Piece, type Request } from "./completion";
import { requestOf, type Settings } from "./settings";
import { tokenOf } from "./token";
import { messagesOf, turnsOf, type Readout, type Turn } from "./turns";

export interface Chat {
  turns: Turn[];
  running: boolean;
  error: unknown;
  send: (text: string, model: string, settings: Settings) => Promise<void>;
  stop: () => void;
  clear: () => void;
}

const STORE_EVERY_MS = 500;

export function useChat(name: string): Chat {
  const { i18n } = useTranslation();
  const owner = useOwner();
  const key = `${owner}.chat.${name}`;
  const [turns, setTurns] = useState<Turn[]>(() => turnsOf(readDraft(key)));
  const [error, setError] = useState<unknown>(null);
  const stopping = useRef<AbortController | null>(null);
  const conversation = useRef(newId());
  useEffect(() => () => stopping.current?.abort(), []);

  const stop = useCallback(() => stopping.current?.abort(), []);

  const clear = useCallback(() => {
    stopping.current?.abort();
    stopping.current = null;
    conversation.current = newId();
    setError(null);
    setTurns([]);
    writeDraft(key, null);
  }, [key]);

  const send = useCallback(
    async (text: string, model: string, settings: Settings) => {
      const aborting = new AbortController();
      stopping.current = aborting;
      setError(null);
      const said: Turn[] = [...turns, { role: "user", content: text }];
      const request = requestOf(settings, model, messagesOf(said));
      const answer = newAnswer(model);
      const began = performance.now();
      let stored = 0;
      const show = () => {
        if (stopping.current !== aborting) return; // cleared meanwhile
        const next = [...said, { ...answer.turn, readout: { ...answer.readout } }];
        setTurns(next);
        if (answer.readout.state !== "running" || performance.now() - stored > STORE_EVERY_MS) {
          stored = performance.now();
          writeDraft(key, next);
        }
      };
      show();
      try {
        const pieces = ask(request, {
          owner,
          language: i18n.language,
          conversation: conversation.current,
          signal: aborting.signal,
        });
        for await (const piece of pieces) {
          take(answer, piece, performance.now() - began);
          show();
        }
        answer.readout.state = "done";
      } catch (failure) {
        answer.readout.state = aborting.signal.aborted ? "stopped" : "failed";
        if (!aborting.signal.aborted) setError(failure);
      } finally {
        answer.readout.totalMs = performance.now() - began;
        show();
        if (stopping.current === aborting) stopping.current = null;
      }
    },
    [turns, key, owner, i18n.language],
  );
  const running = turns.at(-1)?.readout?.state === "running";
  return { turns, running, error, send, stop, clear };
}

interface Asking {
  owner: string;
  language: string;
  conversation: string;
  signal: AbortSignal;
}

/** With a new token once, when the known one is no longer good. */
async function* ask(request: Request, asking: Asking): AsyncGenerator<Piece, void, undefined> {
  const { owner, ...context } = asking;
  try {
    yield* complete(request, { ...context, token: await tokenOf(owner) });
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 401) throw error;
    yield* complete(request, { ...context, token: await tokenOf(owner, true) });
  }
}

interface Answer {
  turn: Turn;
  readout: Readout;
}

function newAnswer(model: string): Answer {
  return {
    turn: { role: "assistant", content: "" },
    readout: {
      state: "running",
      model,
      firstMs: null,
      totalMs: null,
      usage: null,
      finish: null,
      at: Math.floor(Date.now() / 1000),
    },
  };
}

function take({ turn, readout }: Answer, piece: Piece, milliseconds: number): void {
  if (piece.text) {
    readout.firstMs ??= milliseconds;
    turn.content += piece.text;
  }
  if (piece.finish) readout.finish = piece.finish;
  if (piece.usage) readout.usage = piece.usage;
}

/** Of any origin: `crypto.randomUUID` is for https and localhost only. */
function newId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}
