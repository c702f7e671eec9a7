import { describe, expect, test } from 'vitest';
import { explainStderr } from './build-error.ts';

describe('explainStderr', () => {
  test.each([
    [
      "Error: accumulating resources: accumulation err='accumulating resources from 'x.yaml': missing Resource metadata': must build at directory: '/tmp/w/source/x.yaml': file is not directory",
      'x.yaml: missing Resource metadata',
    ],
    [
      "# Warning: 'bases' is deprecated. Please use 'resources' instead.\nError: invalid Kustomization: json: unknown field \"resourses\"\n",
      'invalid Kustomization: json: unknown field "resourses"',
    ],
    ['Error: no matches for Id /tmp/w/source/apps/a.yaml in /tmp/w/source', 'no matches for Id apps/a.yaml in .'],
    [
      'Error: map[string]interface {}{"data":map[string]interface {}{"a":"hunter2}", "b":[]interface {}{"x"}}, "kind":"Secret"}: json: unsupported value: +Inf',
      '{…}: json: unsupported value: +Inf',
    ],
    ['Error: invalid literal source hunter2, expected key=value', 'invalid literal source …, expected key=value'],
    [
      'Error: loading KV pairs: literal sources [a=b]: hunter2 hunter3]: invalid literal source hunter3], expected key=value',
      'loading KV pairs: literal sources […]: invalid literal source …, expected key=value',
    ],
    [
      'Error: loading KV pairs: env source files: [a.env]: line [104 117 110 255] has invalid utf8 bytes : PASSWORD=hunter2',
      'loading KV pairs: env source files: [a.env]: a line has invalid utf8 bytes',
    ],
    [
      'panic: names and kinds not equal\n\ngoroutine 1 [running]:\nsigs.k8s.io/kustomize/api/resource.PrevIds(...)\n\t/src/resource.go:449 +0x1\n',
      'kustomize crashed: names and kinds not equal',
    ],
    ['', 'kustomize ended without saying why'],
  ])('%s', (stderr, message) => {
    expect(explainStderr(stderr, '/tmp/w/source')).toBe(message);
  });
});
