// How the signature of an OCI artifact is checked.
import * as z from 'zod';
import { localRef } from './reference.ts';

/** `verify` of OCIRepository and HelmChart. */
export const OciVerification = z
  .object({
    provider: z.enum(['cosign', 'notation']).default('cosign').describe('The tool that signed the artifact.'),
    secretRef: localRef('Secret with the trusted public keys or certificates.').optional(),
    matchOIDCIdentity: z
      .array(
        z.object({
          issuer: z.string().describe("Regular expression for the issuer in the signer's certificate."),
          subject: z.string().describe("Regular expression for the subject in the signer's certificate."),
        }),
      )
      .optional()
      .describe('Identities that are trusted for a keyless signature; one of them must fit.'),
    trustedRootSecretRef: localRef('Secret with `trusted_root.json` of a private Sigstore instance.').optional(),
  })
  .describe('How the signature of the artifact is checked before it is used.');
export type OciVerification = z.infer<typeof OciVerification>;
