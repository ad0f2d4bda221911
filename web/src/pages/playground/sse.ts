/** Server-sent events as they come from `/v1/chat/completions`: the data of each event, however it was cut up. */

export async function* dataOf(body: ReadableStream<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const reader = body.pipeThrough(new TextDecoderStream() as unknown as TransformStream<Uint8Array, string>).getReader();
  try {
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      // a CR at the end may be half of a CRLF
      const text = rest + value;
      const lines = text.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        const data = dataOfLine(line);
        if (data !== null) yield data;
      }
    }
    const data = dataOfLine(rest);
    if (data !== null) yield data;
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

// every event of this API is one line of data
function dataOfLine(line: string): string | null {
  return line.startsWith("data:") ? line.slice(5).trim() : null;
}
