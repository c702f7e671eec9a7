// The trust policy of the Notary Project (version 1.0): which statement of `trustpolicy.json` is for a repository, and what
// it enforces.
import * as z from 'zod';
import { type DistinguishedName, isSubsetOf, parseDistinguishedName } from './distinguished-name.ts';

/** What is checked of a signature. */
export const validations = ['integrity', 'authenticity', 'authenticTimestamp', 'expiry', 'revocation'] as const;
export type Validation = (typeof validations)[number];
/** What a failed check does: refuse the signature, be told, or not be made at all. */
export type ValidationAction = 'enforce' | 'log' | 'skip';
type Level = Record<Validation, ValidationAction>;

const [enforce, log, skip] = ['enforce', 'log', 'skip'] as const;
const levels: Record<'strict' | 'permissive' | 'audit' | 'skip', Level> = {
  strict: {
    integrity: enforce,
    authenticity: enforce,
    authenticTimestamp: enforce,
    expiry: enforce,
    revocation: enforce,
  },
  permissive: { integrity: enforce, authenticity: enforce, authenticTimestamp: log, expiry: log, revocation: log },
  audit: { integrity: enforce, authenticity: log, authenticTimestamp: log, expiry: log, revocation: log },
  skip: { integrity: skip, authenticity: skip, authenticTimestamp: skip, expiry: skip, revocation: skip },
};

const statement = z.object({
  name: z.string().min(1),
  registryScopes: z.array(z.string()).min(1),
  signatureVerification: z.object({
    level: z.enum(['strict', 'permissive', 'audit', 'skip']),
    override: z.record(z.string(), z.string()).optional(),
    verifyTimestamp: z.enum(['always', 'afterCertExpiry', '']).optional(),
  }),
  trustStores: z.array(z.string()).nullish(),
  trustedIdentities: z.array(z.string()).nullish(),
});
const document = z.object({ version: z.literal('1.0'), trustPolicies: z.array(statement).min(1) });

/** A statement of the policy. */
export interface TrustStatement {
  name: string;
  scopes: string[];
  level: keyof typeof levels;
  actions: Level;
  /** `always` unless the policy says otherwise; means something only with a store of the type `tsa`. */
  verifyTimestamp: 'always' | 'afterCertExpiry';
  /** The types of the stores: `ca`, `signingAuthority`, `tsa`. */
  storeTypes: ReadonlySet<string>;
  /** Any subject is trusted. */
  isAnyIdentity: boolean;
  identities: DistinguishedName[];
}

/** Throws an error that says which statement breaks which rule. */
export function parseTrustPolicy(text: string): TrustStatement[] {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw new Error('it is no JSON');
  }
  const parsed = document.safeParse(json);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new Error(`${issue?.path.join('.') || 'the document'}: ${issue?.message ?? 'is not valid'}`);
  }
  const statements = parsed.data.trustPolicies.map(statementOf);
  refuseRepeated(
    statements.map(({ name }) => name),
    'two statements have the name',
  );
  refuseRepeated(
    statements.flatMap(({ scopes }) => scopes),
    'two statements have the registry scope',
  );
  return statements;
}

/** The statement for `<host>/<repository>`: one that names it, else the one for `*`. */
export function applicableStatement(
  statements: readonly TrustStatement[],
  repository: string,
): TrustStatement | undefined {
  return (
    statements.find(({ scopes }) => scopes.includes(repository)) ??
    statements.find(({ scopes }) => scopes.includes('*'))
  );
}

function statementOf(given: z.infer<typeof statement>): TrustStatement {
  const { name, registryScopes: scopes, signatureVerification } = given;
  const refuse = (what: string): Error => new Error(`statement "${name}" ${what}`);
  if (scopes.length > 1 && scopes.includes('*')) throw refuse('has the registry scope "*" beside others');
  for (const scope of scopes) {
    if (scope !== '*' && !isRepository(scope)) {
      throw refuse(`has the registry scope "${scope}": expected "*" or "<host>/<repository>" without a tag`);
    }
  }
  const { level, verifyTimestamp } = signatureVerification;
  // Flux forgives stores and identities beside "skip", which the specification does not.
  const isSkipped = level === 'skip';
  const stores = isSkipped ? [] : (given.trustStores ?? []);
  const identities = isSkipped ? [] : (given.trustedIdentities ?? []);
  if (!isSkipped && (stores.length === 0 || identities.length === 0)) {
    throw refuse('needs both "trustStores" and "trustedIdentities"');
  }
  return {
    name,
    scopes,
    level,
    actions: actionsOf(level, signatureVerification.override ?? {}, refuse),
    verifyTimestamp: verifyTimestamp || 'always',
    storeTypes: new Set(stores.map((store) => storeTypeOf(store, refuse))),
    isAnyIdentity: identities.includes('*'),
    identities: identitiesOf(identities, refuse),
  };
}

function actionsOf(
  level: keyof typeof levels,
  override: Record<string, string>,
  refuse: (what: string) => Error,
): Level {
  const actions = { ...levels[level] };
  if (level === 'skip' && Object.keys(override).length > 0) throw refuse('overrides the level "skip"');
  for (const [validation, action] of Object.entries(override)) {
    const known = validations.find((name) => name === validation);
    if (!known || known === 'integrity') throw refuse(`overrides "${validation}", which cannot be overridden`);
    if (action !== 'enforce' && action !== 'log' && !(action === 'skip' && known === 'revocation')) {
      throw refuse(`overrides "${validation}" with "${action}": expected "enforce" or "log"`);
    }
    actions[known] = action;
  }
  return actions;
}

function storeTypeOf(store: string, refuse: (what: string) => Error): string {
  const [, type] = /^(ca|signingAuthority|tsa):[a-zA-Z0-9_.-]+$/.exec(store) ?? [];
  if (type) return type;
  throw refuse(`has the trust store "${store}": expected "ca:<name>", "signingAuthority:<name>" or "tsa:<name>"`);
}

const subjectPrefix = 'x509.subject:';

function identitiesOf(identities: readonly string[], refuse: (what: string) => Error): DistinguishedName[] {
  if (identities.length > 1 && identities.includes('*')) throw refuse('has the trusted identity "*" beside others');
  const names = identities.flatMap((identity) => {
    if (identity === '*') return [];
    if (!identity.includes(':')) throw refuse(`has the trusted identity "${identity}": expected "${subjectPrefix} …"`);
    // Other kinds of identities belong to plugins, which there are none of.
    if (!identity.startsWith(subjectPrefix)) return [];
    try {
      return [parseDistinguishedName(identity.slice(subjectPrefix.length))];
    } catch (error) {
      throw refuse(`has a trusted identity that cannot be read: ${error instanceof Error ? error.message : ''}`);
    }
  });
  for (const one of names) {
    if (names.some((other) => other !== one && isSubsetOf(one, other))) {
      throw refuse('has trusted identities of which one contains the other');
    }
  }
  return names;
}

function isRepository(scope: string): boolean {
  return /^[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]+)?(?:\/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)+$/.test(
    scope,
  );
}

function refuseRepeated(names: readonly string[], what: string): void {
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated !== undefined) throw new Error(`${what} "${repeated}"`);
}
