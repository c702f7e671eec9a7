import { expect, test } from 'vitest';
import { parseCgiHead } from './git-server.ts';

test('takes the status of a CGI answer out of its header fields', () => {
  expect(parseCgiHead('Status: 404 Not Found\r\nContent-Type: text/plain')).toEqual({
    status: 404,
    fields: { 'Content-Type': 'text/plain' },
  });
});

test('answers 200 when the CGI program names no status', () => {
  expect(parseCgiHead('Content-Type: application/x-git-upload-pack-result').status).toBe(200);
});
