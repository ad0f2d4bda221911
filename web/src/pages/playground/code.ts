/** The same call as a program would make it. The key comes from the environment: no secret is in the text. */
import type { Request } from "./completion";

export function pythonCode(request: Request, origin: string): string {
  const { messages, ...rest } = request;
  const parameters = Object.entries(rest).map(([name, value]) => `    ${name}=${JSON.stringify(value)},`);
  const lines = messages.map(
    ({ role, content }) => `        {"role": ${JSON.stringify(role)}, "content": ${JSON.stringify(content)}},`,
  );
  return [
    "import os",
    "",
    "from openai import OpenAI",
    "",
    `client = OpenAI(base_url=${JSON.stringify(`${origin}/v1`)}, api_key=os.environ["PLINTH_API_KEY"])`,
    "answer = client.chat.completions.create(",
    ...parameters,
    "    messages=[",
    ...lines,
    "    ],",
    ")",
    "print(answer.choices[0].message.content)",
    "",
  ].join("\n");
}

export function curlCode(request: Request, origin: string): string {
  const body = JSON.stringify(request, null, 2).replaceAll("'", "'\\''");
  return [
    `curl ${origin}/v1/chat/completions \\`,
    '  -H "Authorization: Bearer $PLINTH_API_KEY" \\',
    '  -H "Content-Type: application/json" \\',
    `  -d '${body}'`,
    "",
  ].join("\n");
}
