// What a failed run of sops means, in a person's words. sops quotes values and digests of plain text in what it prints,
// so nothing of that is passed on but the answers of key services, and those without any secret.
import { describeRecipient, type Recipient } from './sops-metadata.ts';

/** What is known of a failed run. */
export interface SopsFailure {
  /** The file, or the field of an object, that was to be decrypted. */
  subject: string;
  exitCode: number | null;
  stderr: string;
  recipients: readonly Recipient[];
  /** Names of the keys that were given. */
  keyNames: readonly string[];
  /** Where keys come from: `Secret/apps/sops-age`, or what to do about none. */
  keySource: string;
  /** Texts that must never be shown. */
  secrets: readonly string[];
}

const maxCauseLength = 600;

/** Exit codes of sops that say what is wrong (its package `codes`). */
const couldNotRetrieveKey = 128;
const problems: Readonly<Record<number, string>> = {
  4: 'cannot be written in the format that its name asks for (ErrorDumpingTree)',
  24: 'has a message authentication code that cannot be read (ErrorDecryptingMac): encrypt it again',
  25: 'has a value that was changed, moved or put in without sops (ErrorDecryptingTree): edit it with "sops" only',
  51: 'was changed after it was encrypted (MacMismatch): restore it, or edit it with "sops" only',
  52: 'has no message authentication code (MacNotFound): encrypt it again',
};

/** The message for a condition: what cannot be decrypted, why, and what to do. */
export function explainSopsFailure(failure: SopsFailure): string {
  const { subject, exitCode, stderr } = failure;
  if (exitCode === couldNotRetrieveKey)
    return `${subject} cannot be decrypted (CouldNotRetrieveKey): ${missingKey(failure)}`;
  const problem = problems[exitCode ?? 0];
  if (problem) return `${subject} ${problem}`;
  if (/metadata not found/i.test(stderr)) return `${subject} has no complete SOPS metadata: encrypt it again`;
  return `${subject} cannot be decrypted: sops ended with ${exitCode ?? 'a signal'}, as it is not a whole SOPS file`;
}

function missingKey(failure: SopsFailure): string {
  const { recipients, keyNames, keySource } = failure;
  const wanted = recipients.length > 0 ? recipients.map(describeRecipient).join(', ') : 'nobody that can be read';
  const given = keyNames.length > 0 ? `${keySource} gives ${keyNames.join(', ')}` : `${keySource} gives no key`;
  const causes = serviceAnswers(failure);
  const said = causes ? `; ${causes}` : '';
  return `it is encrypted to ${wanted}; ${given}${said}`;
}

/** What key services said; of age and PGP there is nothing more to know than that no key fits. */
function serviceAnswers({ stderr, recipients, secrets }: SopsFailure): string {
  const isLocal = (name: string): boolean =>
    recipients.some((recipient) => recipient.name === name && ['age', 'pgp'].includes(recipient.kind));
  const answers: string[] = [];
  for (const section of stderr.split(/^ {2}(?=\S.*: FAILED$)/m).slice(1)) {
    const name = section.slice(0, section.indexOf(': FAILED'));
    if (isLocal(name)) continue;
    const lines = section.split('\n').slice(1);
    const said = lines.filter((line) => line.includes('| ')).map((line) => line.slice(line.indexOf('| ') + 2).trim());
    if (said.length > 0) answers.push(said.join(' '));
  }
  const text = withoutSecrets(answers.join('; '), secrets);
  return text.length > maxCauseLength ? `${text.slice(0, maxCauseLength)}…` : text;
}

/** A text with every secret in it replaced, the longest first, so that none is left in part. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const sorted = secrets.filter((secret) => secret.length >= 4).sort((a, b) => b.length - a.length);
  return sorted.reduce((masked, secret) => masked.replaceAll(secret, '***'), text);
}
