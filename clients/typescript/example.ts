// Translate by `fetch`, once at a stroke and once as it is made.

import type {
  DenseMatrix,
  ProblemReply,
  SegmentEndEvent,
  SegmentEvent,
  TokenEvent,
  TranslateReply,
  TranslateRequest,
} from "./softalign.d.ts";

const ADDRESS = "http://127.0.0.1:8000";

/** The answer of the service; throws what it says where it says no. */
export async function translate(request: TranslateRequest): Promise<TranslateReply> {
  const response = await fetch(`${ADDRESS}/v1/translate`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(request),
  });
  if (!response.ok) throw new Error(((await response.json()) as ProblemReply).detail);
  return (await response.json()) as TranslateReply;
}

/** For each word of the translation the source word that it looked at most. */
export async function bestLinks(text: string): Promise<[source: string, target: string][]> {
  // A script's strings count in UTF-16, so spans are asked for in it.
  const request: TranslateRequest = { text, target_lang: "fr", alignment: { offset_encoding: "utf-16" } };
  const [translation] = (await translate(request)).translations;
  if (!translation || "problem" in translation) throw new Error(translation?.problem.message);
  return (translation.alignment?.segments ?? []).flatMap((segment) => linksOf(segment as DenseMatrix));
}

function linksOf({ source_tokens, target_tokens, weights }: DenseMatrix): [string, string][] {
  return target_tokens.map((token, target) => {
    const row = weights[target] ?? [];
    return [source_tokens[row.indexOf(Math.max(...row))]?.text ?? "", token.text];
  });
}

export type StreamEvent =
  | { name: "segment"; data: SegmentEvent }
  | { name: "token"; data: TokenEvent }
  | { name: "segment_end"; data: SegmentEndEvent }
  | { name: "done"; data: TranslateReply }
  | { name: "error"; data: ProblemReply };

/** The events of a translation while it is made. Leaving the loop early frees the service of the work. */
export async function* stream(request: TranslateRequest): AsyncGenerator<StreamEvent> {
  const response = await fetch(`${ADDRESS}/v1/translate`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Accept: "text/event-stream" },
    body: JSON.stringify(request),
  });
  if (!response.ok || !response.body) throw new Error(((await response.json()) as ProblemReply).detail);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (let text = "", read = await reader.read(); !read.done; read = await reader.read()) {
      const blocks = (text + read.value).split("\n\n");
      text = blocks.pop() ?? "";
      for (const block of blocks) {
        const [, name, data] = /^event: (.*)\ndata: (.*)$/.exec(block) ?? [];
        if (name && data) yield { name, data: JSON.parse(data) } as StreamEvent;
      }
    }
  } finally {
    await reader.cancel();
  }
}
