import { expect, test } from 'vitest';
import { maskWords, wordsOnlyIn } from './decrypt-sources.ts';

const encrypted = Buffer.from('USER=ENC[AES256_GCM,data:x]\nPIN=ENC[AES256_GCM,data:y]\nsops_version=3\n');
const plain = Buffer.from('USER=admin\nPIN=42\nbroken line with p@ssw0rd\n');
const secret = wordsOnlyIn(plain, encrypted);

test('an error of kustomize about a decrypted file quotes nothing of it but its keys', () => {
  const message = 'kustomize build failed: "broken line with p@ssw0rd" is no key (PIN=42, USER=admin)';

  expect(maskWords(message, secret)).toBe('kustomize build failed: "*** *** *** ***" is no key (PIN=***, USER=***)');
});

test('a word is masked also as a part of another', () => {
  expect(maskWords('no matches for Secret.v1/p@ssw0rd.[noNs]', secret)).toBe('no matches for Secret.v1/***.[noNs]');
});

test('an error that quotes nothing stays as it is', () => {
  const message = 'kustomize build failed: 42 files, no such file "a.yml"';

  expect(maskWords(message, secret)).toBe(message);
});
