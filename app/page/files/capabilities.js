// What this service can do, read from its own OpenAPI document, so that the page offers nothing else.

const TRANSLATION = "/v1/translations/{id}";

export async function readCapabilities(api) {
  const document = await api.get("/openapi.json");
  const paths = Object.fromEntries(
    // The name of the parameter is no part of what an address is.
    Object.entries(document.paths ?? {}).map(([path, operations]) => [path.replace(/\{\w+\}/u, "{id}"), operations]),
  );
  const answers = paths["/v1/translate"]?.post?.responses?.["200"]?.content ?? {};
  const alignment = document.components?.schemas?.AlignmentRequest?.properties ?? {};
  return {
    canStream: "text/event-stream" in answers,
    canFetch: Boolean(paths[TRANSLATION]?.get),
    canDelete: Boolean(paths[TRANSLATION]?.delete),
    canChooseKind: "kind" in alignment,
    forms: formsOf(paths[`${TRANSLATION}/alignment`]?.get, document.components?.schemas ?? {}),
  };
}

/** Names for `?format=` of the alignment's address. */
function formsOf(operation, schemas) {
  const parameter = operation?.parameters?.find((one) => one.name === "format");
  return enumOf(parameter?.schema, schemas);
}

function enumOf(schema, schemas) {
  if (!schema) return [];
  if (schema.enum) return schema.enum;
  if (schema.$ref) return enumOf(schemas[schema.$ref.split("/").pop()], schemas);
  return (schema.anyOf ?? []).flatMap((one) => enumOf(one, schemas));
}
