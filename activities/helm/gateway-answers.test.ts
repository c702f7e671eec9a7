import { expect, test } from 'vitest';
import { createGatewayAnswers, isKnowable, reducedOpenApi, type WholeAnswer } from './gateway-answers.ts';

const hash = 'A'.repeat(128);
const paths: [string, boolean][] = [
  ['/version', true],
  ['/version?timeout=32s', true],
  ['/api?timeout=32s', true],
  ['/apis?timeout=32s', true],
  ['/openapi/v3?timeout=32s', true],
  [`/openapi/v3/apis/apps/v1?hash=${hash}&timeout=32s`, true],
  ['/openapi/v3/apis/apps/v1?timeout=32s', false],
  ['/openapi/v2?timeout=32s', false],
  ['/apis/apps/v1?timeout=32s', false],
  ['/api/v1/namespaces/a/secrets/b', false],
];

test.each(paths)('%s may be known: %s', (path, expected) => {
  expect(isKnowable(path)).toBe(expected);
});

/** A server whose answers are numbered. */
function server(status = 200) {
  let asked = 0;
  const ask = async (): Promise<WholeAnswer> => {
    asked += 1;
    return { status, headers: {}, body: Buffer.from(String(asked)) };
  };
  const answers = createGatewayAnswers();
  const get = async (session: ReturnType<typeof answers.session>, path: string, accept = 'application/json') =>
    (await session.get(path, accept, ask)).body.toString();
  return { answers, get };
}

test('discovery is asked once by a process, until it changes something', async () => {
  const { answers, get } = server();
  const session = answers.session('https://a');
  expect(await get(session, '/apis')).toBe('1');
  expect(await get(session, '/apis?timeout=32s')).toBe('1');
  expect(await get(session, '/apis', 'application/yaml')).toBe('2');
  session.forget();
  expect(await get(session, '/apis')).toBe('3');
  expect(await get(answers.session('https://a'), '/apis')).toBe('4');
});

test('a document with its digest in its address is asked once of each server', async () => {
  const { answers, get } = server();
  const session = answers.session('https://a');
  expect(await get(session, `/openapi/v3/api/v1?hash=${hash}&timeout=32s`)).toBe('1');
  session.forget();
  expect(await get(answers.session('https://a'), `/openapi/v3/api/v1?hash=${hash}`)).toBe('1');
  expect(await get(session, `/openapi/v3/api/v1?hash=${'B'.repeat(128)}`)).toBe('2');
  expect(await get(answers.session('https://b'), `/openapi/v3/api/v1?hash=${hash}`)).toBe('3');
});

test('a refusal is not remembered', async () => {
  const { answers, get } = server(403);
  const session = answers.session('https://a');
  expect(await get(session, '/apis')).toBe('1');
  expect(await get(session, '/apis')).toBe('2');
});

test('of an OpenAPI document stays which kinds take the validation by the server', () => {
  const group = { group: 'apps', kind: 'Deployment', version: 'v1' };
  const document = {
    openapi: '3.0.0',
    info: { title: 'Kubernetes', version: 'v1' },
    paths: {
      '/apis/apps/v1/': { get: { responses: {} } },
      '/apis/apps/v1/deployments': {
        get: { parameters: [{ name: 'limit', in: 'query' }] },
        patch: {
          description: 'long',
          parameters: [
            { name: 'fieldValidation', in: 'query', schema: { type: 'string' } },
            { name: 'force', in: 'query' },
            { $ref: '#/parameters/dryRun' },
          ],
          'x-kubernetes-group-version-kind': group,
        },
      },
    },
    components: { schemas: { long: {} }, parameters: { dryRun: { name: 'dryRun', in: 'query' } } },
  };
  expect(JSON.parse(reducedOpenApi(Buffer.from(JSON.stringify(document))).toString('utf8'))).toEqual({
    openapi: '3.0.0',
    info: document.info,
    paths: {
      '/apis/apps/v1/deployments': {
        patch: {
          parameters: [{ name: 'fieldValidation', in: 'query' }, { $ref: '#/parameters/dryRun' }],
          responses: {},
          'x-kubernetes-group-version-kind': group,
        },
      },
    },
    components: { parameters: document.components.parameters },
  });
});

test.each(['[]', '{"openapi":"3.0.0"}'])('%s is no OpenAPI document', (text) => {
  expect(() => reducedOpenApi(Buffer.from(text))).toThrow('an OpenAPI document has no paths');
});
