// Opens the artifact store that the options choose, and what serves and reads its artifacts.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { Agent } from 'undici';
import type { ArtifactStore } from '../activities/artifact/artifact.ts';
import type { DownloadOptions } from '../activities/artifact/download.ts';
import { createFileArtifactStore } from '../activities/artifact/file-store.ts';
import { createS3Files } from '../activities/artifact/s3-files.ts';
import { createS3ArtifactStore } from '../activities/artifact/s3-store.ts';
import type { ServedFiles } from '../activities/artifact/served-files.ts';
import { createS3Client, type S3Credentials } from '../activities/s3-client.ts';
import { ambientAwsCredentials } from '../activities/source/cloud/aws-credentials.ts';
import type { Environment } from '../activities/source/cloud/cloud-identity.ts';
import { kept } from '../activities/source/cloud/kept-credentials.ts';
import type { WorkerConfig } from './config.ts';

export interface OpenArtifactStore {
  store: ArtifactStore;
  /** What the artifact server serves: a directory, or the files of another driver. */
  files: string | ServedFiles;
  /** How the worker itself reads artifacts of the store, without HTTP. */
  localStore: NonNullable<DownloadOptions['localStore']>;
}

/** Throws an `Error` that names the option which is missing or does not fit. Nothing is sent yet. */
export function openArtifactStore(config: WorkerConfig, env: Environment = process.env): OpenArtifactStore {
  const advertisedAddress = config.CONTINUO_ARTIFACT_ADDRESS ?? config.CONTINUO_HTTP_ADDRESS;
  const baseUrl = `http://${advertisedAddress}/`;
  const rules = {
    advertisedAddress,
    retentionRecords: config.CONTINUO_ARTIFACT_RETENTION_RECORDS,
    retentionTtlMs: config.CONTINUO_ARTIFACT_RETENTION_SECONDS * 1000,
    digestAlgorithm: config.CONTINUO_ARTIFACT_DIGEST_ALGO,
  };
  if (config.CONTINUO_ARTIFACT_STORE === 'file') {
    const directory = join(config.CONTINUO_DATA_DIR, 'artifacts');
    return {
      store: createFileArtifactStore({ directory, ...rules }),
      files: directory,
      localStore: { directory, baseUrl },
    };
  }
  const client = createS3Client(connectionOf(config, env));
  const folder = config.CONTINUO_ARTIFACT_S3_PREFIX.replace(/\/+$/, '');
  const prefix = folder === '' ? '' : `${folder}/`;
  const files = createS3Files({ client, prefix, cacheDirectory: join(config.CONTINUO_DATA_DIR, 'artifact-cache') });
  return {
    store: createS3ArtifactStore({ client, prefix, ...rules }),
    files,
    localStore: { open: files, baseUrl },
  };
}

function connectionOf(config: WorkerConfig, env: Environment): Parameters<typeof createS3Client>[0] {
  const accessKeyId = config.CONTINUO_ARTIFACT_S3_ACCESS_KEY;
  const secretAccessKey = config.CONTINUO_ARTIFACT_S3_SECRET_KEY;
  const region = config.CONTINUO_ARTIFACT_S3_REGION || undefined;
  if (config.CONTINUO_ARTIFACT_S3_BUCKET === '') {
    throw new Error('CONTINUO_ARTIFACT_S3_BUCKET is missing: CONTINUO_ARTIFACT_STORE is "s3"');
  }
  if ((accessKeyId === '') !== (secretAccessKey === '')) {
    throw new Error(
      'CONTINUO_ARTIFACT_S3_ACCESS_KEY and CONTINUO_ARTIFACT_S3_SECRET_KEY go together: set both, or none',
    );
  }
  const caFile = config.CONTINUO_ARTIFACT_S3_CA_FILE;
  const ca = caFile === '' ? undefined : [...rootCertificates, certificatesIn(caFile)];
  const dispatcher = new Agent({ allowH2: false, connect: { timeout: 10_000, ...(ca ? { ca } : {}) } });
  const own = (signal: AbortSignal): Promise<S3Credentials> =>
    kept(['artifact store'], (within) => ambientAwsCredentials({ env, region, dispatcher }, within), signal);
  return {
    endpoint: `${config.CONTINUO_ARTIFACT_S3_INSECURE ? 'http' : 'https'}://${config.CONTINUO_ARTIFACT_S3_ENDPOINT}`,
    bucket: config.CONTINUO_ARTIFACT_S3_BUCKET,
    region,
    credentials: accessKeyId === '' ? own : async () => ({ accessKeyId, secretAccessKey }),
    dispatcher,
  };
}

function certificatesIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new Error(`CONTINUO_ARTIFACT_S3_CA_FILE names "${path}", which cannot be read (${code ?? message})`);
  }
}
