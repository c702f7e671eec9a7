// What `spec.decryption` of a Kustomization asks for: where its keys are, which of them decide a build, and a session.
import { type KubeObject, type NamespacedName, subjectOf } from '../../../k8s/object.ts';
import type { ReferencedObjects } from '../../../k8s/referenced-objects.ts';
import { failure, messageOf } from '../../errors.ts';
import { isRecord } from '../read-manifests.ts';
import { digestOfKeys, keyKindOf, parseKeys, type SecretEntries } from './keys.ts';
import { decryptionFailed, openSession, type SopsSession } from './sops-session.ts';

/** How an installation decrypts; the same for all Kustomizations. */
export interface DecryptionSettings {
  /** Path or name of the sops binary. It need not be there as long as nothing is to be decrypted. @default 'sops' */
  sopsBinary?: string;
  /** Secret with age keys for Kustomizations that name none of their own. @default none */
  ageSecret?: NamespacedName;
  /** The worker's own credentials for key services, by variable; see `ambientEnvironment`. @default none */
  ambient?: Readonly<Record<string, string>>;
  /** For one run of sops. @default 30000 */
  timeoutMs?: number;
}

export interface DecryptionDependencies {
  references: ReferencedObjects;
  decryption?: DecryptionSettings;
}

/** The decryption of one Kustomization, with the keys as they are now. */
export interface Decryption {
  /** Part of the build key: changes exactly when a key does that may be used. */
  digest: string;
  /** Opens a session for one build; the caller closes it. */
  open(temporaryDirectory: string, signal?: AbortSignal): SopsSession;
}

const defaultTimeoutMs = 30_000;

/**
 * The decryption that a Kustomization asks for, or undefined when it asks for none. Starts no process. Fails with
 * FeatureGateDisabled for `serviceAccountName` (contract 2.1, step 2) and BuildFailed when the Secret is not there.
 */
export async function loadDecryption(
  kustomization: KubeObject,
  { references, decryption: settings = {} }: DecryptionDependencies,
): Promise<Decryption | undefined> {
  const spec = isRecord(kustomization.spec) ? kustomization.spec : {};
  if (!isRecord(spec.decryption)) return undefined;
  const { provider, secretRef, serviceAccountName } = spec.decryption;
  if (serviceAccountName) {
    throw failure(
      'FeatureGateDisabled',
      'Reconciliation failed terminally due to configuration error: spec.decryption.serviceAccountName needs the feature ' +
        'gate ObjectLevelWorkloadIdentity, which this installation has not: name a Secret in spec.decryption.secretRef',
    );
  }
  if (provider !== 'sops') throw decryptionFailed(`provider "${String(provider)}" is not known, expected "sops"`);
  const namespace = kustomization.metadata.namespace ?? '';
  const name = isRecord(secretRef) && typeof secretRef.name === 'string' ? secretRef.name : undefined;
  const { entries, source } = name
    ? await readSecret({ namespace, name }, 'spec.decryption.secretRef', references)
    : await readGlobalSecret(settings.ageSecret, references);
  return {
    digest: digestOfKeys(entries),
    open: (temporaryDirectory, signal) =>
      openSession({
        sopsBinary: settings.sopsBinary ?? 'sops',
        temporaryDirectory,
        ambient: settings.ambient ?? {},
        timeoutMs: settings.timeoutMs ?? defaultTimeoutMs,
        readKeys: () => parseKeys(entries, source),
        keySource: source,
        signal,
      }),
  };
}

interface KeySource {
  entries: SecretEntries;
  source: string;
}

/** The Secret of the installation gives age keys and nothing else. */
async function readGlobalSecret(
  ageSecret: NamespacedName | undefined,
  references: ReferencedObjects,
): Promise<KeySource> {
  if (!ageSecret) return { entries: {}, source: 'spec.decryption, without a secretRef,' };
  const { entries, source } = await readSecret(ageSecret, 'the option CONTINUO_SOPS_AGE_SECRET', references);
  return { entries: Object.fromEntries(Object.entries(entries).filter(([key]) => keyKindOf(key) === 'age')), source };
}

async function readSecret(ref: NamespacedName, namedIn: string, references: ReferencedObjects): Promise<KeySource> {
  const source = subjectOf({ kind: 'Secret', ...ref });
  let secret: KubeObject | undefined;
  try {
    secret = await references.get('Secret', ref.namespace, ref.name);
  } catch (cause) {
    const isTransient = (cause as { isTransient?: boolean }).isTransient === true;
    throw failure('BuildFailed', `decryption failed: ${source} cannot be read: ${messageOf(cause)}`, {
      cause,
      isTransient,
    });
  }
  if (!secret) throw decryptionFailed(`${source}, which ${namedIn} names, does not exist: create it with the keys`);
  const data = isRecord(secret.data) ? secret.data : {};
  const entries = Object.entries(data).map(([key, value]) => [key, Buffer.from(String(value), 'base64')] as const);
  return { entries: Object.fromEntries(entries), source };
}
