// What this service can do, read from its own OpenAPI document, so that the page offers nothing else.

const TRANSLATION = "/v1/translations/{id}";
const ALIGNMENT = `${TRANSLATION}/alignment`;

export async function readCapabilities(api) {
  const { paths, components } = await api.get("/openapi.json");
  const alignment = paths[ALIGNMENT]?.get;
  return {
    canStream: "text/event-stream" in answersOf(paths["/v1/translate"].post),
    canFetch: Boolean(paths[TRANSLATION]?.get),
    canDelete: Boolean(paths[TRANSLATION]?.delete),
    canAskKind: "kind" in components.schemas.AlignmentRequest.properties,
    canFetchKind: Boolean(alignment?.parameters?.some((one) => one.name === "kind")),
    /** Media types in which a stored alignment can be had. */
    forms: alignment ? Object.keys(answersOf(alignment)) : [],
  };
}

function answersOf(operation) {
  return operation.responses["200"]?.content ?? {};
}
