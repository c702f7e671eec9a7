import { describe, expect, test } from 'vitest';
import { explainSopsFailure, type SopsFailure, withoutSecrets } from './sops-failure.ts';

const explain = (over: Partial<SopsFailure>): string =>
  explainSopsFailure({
    subject: 'file "a.yaml"',
    exitCode: 128,
    stderr: '',
    recipients: [],
    keyNames: [],
    keySource: 'Secret/apps/keys',
    secrets: [],
    ...over,
  });

describe('explainSopsFailure', () => {
  test('tells whose key would fit and which were given', () => {
    const message = explain({
      recipients: [
        { kind: 'age', name: 'age1wanted' },
        { kind: 'pgp', name: 'ABCD' },
      ],
      keyNames: ['age1given', 'PGP 1234'],
      stderr:
        'Group 0: FAILED\n  age1wanted: FAILED\n    - | no identity matched\n\n  ABCD: FAILED\n    - | incorrect key\n',
    });

    expect(message).toBe(
      'file "a.yaml" cannot be decrypted (CouldNotRetrieveKey): it is encrypted to age1wanted, PGP ABCD; ' +
        'Secret/apps/keys gives age1given, PGP 1234',
    );
  });

  test('tells what a key service answered, without any secret', () => {
    const arn = 'arn:aws:kms:eu-west-1:1:key/2';
    const message = explain({
      recipients: [{ kind: 'aws', name: arn }],
      stderr: `Group 0: FAILED\n  ${arn}: FAILED\n    - | failed to decrypt with AWS KMS:\n      | key s3cretvalue is not\n      | authorized\n\nRecovery failed`,
      secrets: ['s3cretvalue'],
    });

    expect(message).toBe(
      `file "a.yaml" cannot be decrypted (CouldNotRetrieveKey): it is encrypted to ${arn}; Secret/apps/keys gives no key; ` +
        'failed to decrypt with AWS KMS: key *** is not authorized',
    );
  });

  test.each([
    [51, 'MAC mismatch. File has 1234, computed ABCDEF', 'was changed after it was encrypted (MacMismatch)'],
    [52, '', 'has no message authentication code (MacNotFound)'],
    [25, 'Input string hunter2 does not match sops data format', 'has a value that was changed, moved or put in'],
    [4, 'Error dumping file: hunter2', 'cannot be written in the format that its name asks for'],
    [1, 'sops metadata not found', 'has no complete SOPS metadata: encrypt it again'],
    [1, 'yaml: line 3: hunter2', 'sops ended with 1'],
    [null, '', 'sops ended with a signal'],
  ])('says what exit code %s means and quotes nothing of the file', (exitCode, stderr, expected) => {
    const message = explain({ exitCode, stderr });

    expect(message).toContain(expected);
    expect(message).not.toMatch(/hunter2|ABCDEF/);
  });
});

test('withoutSecrets leaves no part of a secret that contains another', () => {
  expect(withoutSecrets('a hunter2000 b hunter', ['hunter', 'hunter2000', 'b'])).toBe('a *** b ***');
});
