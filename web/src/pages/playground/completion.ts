/** One streamed call of `/v1/chat/completions`, as any program would make it: with a token, without the cookie. */
import { ApiError, ConnectionLost } from "../../api";
import { errorOf } from "../../api/errors";
import { dataOf } from "./sse";

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

export interface Request {
  model: string;
  messages: Message[];
  temperature?: number;
  top_p?: number;
  max_tokens?: number;
  seed?: number;
}

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  prompt_tokens_details?: { cached_tokens?: number | null } | null;
}

export interface Piece {
  text?: string;
  finish?: string;
  usage?: Usage;
}

interface Chunk {
  choices?: { delta?: { content?: string | null; refusal?: string | null } | null; finish_reason?: string | null }[];
  usage?: Usage | null;
  error?: { message?: string; code?: string | null; param?: string | null };
}

export interface CallContext {
  token: string;
  language: string;
  /** Keeps a conversation on one side of a canary. */
  conversation: string;
  signal: AbortSignal;
}

/** The answer, piece by piece. Throws `ApiError`, `ConnectionLost`, or an AbortError when it was stopped. */
export async function* complete(request: Request, context: CallContext): AsyncGenerator<Piece, void, undefined> {
  const response = await post(request, context);
  if (!response.ok) throw await errorOf(response);
  if (!response.body) throw new ConnectionLost();
  let ended = false;
  try {
    for await (const data of dataOf(response.body)) {
      if (data === "[DONE]") {
        ended = true;
        continue;
      }
      yield pieceOf(JSON.parse(data) as Chunk);
    }
  } catch (error) {
    if (error instanceof TypeError) throw new ConnectionLost(); // the stream broke
    throw error;
  }
  if (!ended) throw new ConnectionLost();
}

async function post(request: Request, context: CallContext): Promise<Response> {
  try {
    return await fetch("/v1/chat/completions", {
      method: "POST",
      headers: {
        "content-type": "application/json",
        authorization: `Bearer ${context.token}`,
        "accept-language": context.language,
        "x-plinth-conversation": context.conversation,
      },
      body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
      signal: context.signal,
      credentials: "omit",
      cache: "no-store",
    });
  } catch (error) {
    if (error instanceof TypeError) throw new ConnectionLost();
    throw error;
  }
}

export function pieceOf(chunk: Chunk): Piece {
  if (chunk.error) {
    const { message, code, param } = chunk.error;
    throw new ApiError(message ?? "", 500, code ?? "unknown", param ?? null, null, null);
  }
  const choice = chunk.choices?.[0];
  const text = choice?.delta?.content ?? choice?.delta?.refusal;
  return {
    ...(text && { text }),
    ...(choice?.finish_reason && { finish: choice.finish_reason }),
    ...(chunk.usage && { usage: chunk.usage }),
  };
}
