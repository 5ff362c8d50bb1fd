// Server-sent events of a response to a POST, which the browser's own EventSource cannot read.

/**
 * Yields `{ name, data }` with the parsed JSON of each event; comments (heartbeats) are skipped. A connection that breaks
 * is an end like any other: whoever needs more than came notices.
 */
export async function* readEvents(stream) {
  const reader = stream.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  try {
    for (;;) {
      const { value, done } = await reader.read().catch(endUnlessAborted);
      if (done) return;
      const blocks = (waiting + value.replaceAll("\r", "")).split("\n\n");
      waiting = blocks.pop();
      for (const block of blocks) {
        const event = parse(block);
        if (event) yield event;
      }
    }
  } finally {
    await reader.cancel().catch(() => {}); // of a broken stream it fails as reading did
  }
}

function endUnlessAborted(error) {
  if (error.name === "AbortError") throw error;
  return { done: true };
}

function parse(block) {
  let name = "message";
  const data = [];
  for (const line of block.split("\n")) {
    const [, field, value] = /^([^:]*):? ?(.*)$/su.exec(line);
    if (field === "event") name = value;
    if (field === "data") data.push(value);
  }
  return data.length ? { name, data: JSON.parse(data.join("\n")) } : null;
}
