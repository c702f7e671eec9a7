// What the gateway knows already when helm asks. Helm discovers the API anew for each object that it handles, and reads
// the server's OpenAPI documents, megabytes of JSON, for a single bit each; both cost it more than all of its other work
// (docs/decisions/0016).
import type { ForwardedAnswer } from '../../k8s/rest.ts';

/** An answer that was read to its end. */
export interface WholeAnswer {
  status: number;
  headers: ForwardedAnswer['headers'];
  body: Buffer;
}

type Ask = () => Promise<WholeAnswer>;

/** What one helm process has been told. */
export interface SessionAnswers {
  /** The answer to a GET as it was given before, or the one that asking gives. */
  get(path: string, accept: string, ask: Ask): Promise<WholeAnswer>;
  /** A request that may change what is served: from now on it is asked again. */
  forget(): void;
}

/** Discovery, and the list of OpenAPI documents. */
const discovery = /^(\/(?:version|api|apis|openapi\/v3))(?:\?timeout=[0-9a-z]+)?$/;
/** A document whose content is in its address. */
const openApi = /^(\/openapi\/v3\/[^?]+\?hash=[0-9A-Fa-f]{32,})(?:&timeout=[0-9a-z]+)?$/;
const maxDocuments = 500;

/** True for the path of a GET that {@link SessionAnswers} can answer. */
export function isKnowable(path: string): boolean {
  return discovery.test(path) || openApi.test(path);
}

/** Keeps the documents of all servers; `server` of {@link session} names the one that a process speaks to. */
export function createGatewayAnswers() {
  const documents = new Map<string, Promise<WholeAnswer>>();

  return {
    session(server: string): SessionAnswers {
      const told = new Map<string, Promise<WholeAnswer>>();
      return {
        get(path, accept, ask) {
          const [, document] = openApi.exec(path) ?? [];
          if (document === undefined) return remembered(told, `${discovery.exec(path)?.[1]} ${accept}`, ask);
          if (documents.size >= maxDocuments) documents.clear();
          return remembered(documents, `${server}${document} ${accept}`, async () => reduced(await ask()));
        },
        forget: () => told.clear(),
      };
    },
  };
}

/** Only success is remembered. */
function remembered(known: Map<string, Promise<WholeAnswer>>, key: string, ask: Ask): Promise<WholeAnswer> {
  const answer = known.get(key);
  if (answer) return answer;
  const asked = ask();
  known.set(key, asked);
  const forget = (): void => {
    if (known.get(key) === asked) known.delete(key);
  };
  asked.then(({ status }) => {
    if (status !== 200) forget();
  }, forget);
  return asked;
}

function reduced(answer: WholeAnswer): WholeAnswer {
  const { status, headers, body } = answer;
  const isJson = status === 200 && headers['content-type'] === 'application/json' && !headers['content-encoding'];
  if (!isJson) return answer;
  try {
    return { ...answer, body: reducedOpenApi(body) };
  } catch {
    return answer; // helm says what is wrong with it
  }
}

interface OpenApiDocument {
  openapi?: unknown;
  info?: unknown;
  paths?: Record<string, { patch?: PatchOperation }>;
  components?: { parameters?: unknown };
}

interface PatchOperation {
  parameters?: { name?: string; in?: string; $ref?: string }[];
  [extension: `x-${string}`]: unknown;
}

/**
 * An OpenAPI v3 document with what helm looks for in it: whether the PATCH of a kind takes `fieldValidation`, so that the
 * server validates and helm need not. Throws an `Error` for anything else than such a document.
 */
export function reducedOpenApi(body: Buffer): Buffer {
  const { openapi, info, paths, components } = JSON.parse(body.toString('utf8')) as OpenApiDocument;
  if (!paths) throw new Error('an OpenAPI document has no paths');
  const patched = Object.entries(paths).flatMap(([path, { patch }]) => (patch ? [[path, { patch: bare(patch) }]] : []));
  const parameters = components?.parameters;
  return Buffer.from(
    JSON.stringify({
      openapi,
      info,
      paths: Object.fromEntries(patched),
      ...(parameters ? { components: { parameters } } : {}),
    }),
  );
}

function bare({ parameters = [], ...operation }: PatchOperation) {
  const kind = 'x-kubernetes-group-version-kind';
  const kept = parameters
    .filter(({ name, $ref }) => name === 'fieldValidation' || $ref !== undefined)
    .map(({ name, in: place, $ref }) => ({ name, in: place, $ref }));
  return { parameters: kept, responses: {}, [kind]: operation[kind] };
}
