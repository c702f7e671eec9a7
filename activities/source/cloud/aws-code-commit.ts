// Passwords for repositories in AWS CodeCommit (contract 1.1, provider aws): a signature (SigV4) over host and path, good
// for 15 minutes. No request is made for it.
import { createHash, createHmac } from 'node:crypto';
import type { S3Credentials } from '../../s3-client.ts';

const hostPattern = /^(?:[a-z0-9-]+\.)?git-codecommit(?:-fips)?\.([a-z0-9-]+)\.(?:vpce\.)?amazonaws\.com(?:\.cn)?$/;

/** The region of a host of CodeCommit; undefined for any other host. */
export function codeCommitRegionOf(hostname: string): string | undefined {
  return hostPattern.exec(hostname)?.[1];
}

/** User and password for the repository at `url`. */
export function codeCommitLogin(
  url: string,
  region: string,
  { accessKeyId, secretAccessKey, sessionToken }: S3Credentials,
  nowMs: number,
): { username: string; password: string } {
  const { hostname, pathname } = new URL(url);
  const time = new Date(nowMs).toISOString().replace(/[-:]|\..*$/g, '');
  const scope = [time.slice(0, 8), region, 'codecommit', 'aws4_request'];
  const request = `GIT\n${pathname}\n\nhost:${hostname}\n\nhost\n`;
  const digest = createHash('sha256').update(request).digest('hex');
  const key = scope.reduce<Buffer>((parent, part) => hmac(parent, part), Buffer.from(`AWS4${secretAccessKey}`));
  const signature = hmac(key, `AWS4-HMAC-SHA256\n${time}\n${scope.join('/')}\n${digest}`).toString('hex');
  return {
    username: sessionToken === undefined ? accessKeyId : `${accessKeyId}%${sessionToken}`,
    password: `${time}Z${signature}`,
  };
}

function hmac(key: Buffer, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest();
}
