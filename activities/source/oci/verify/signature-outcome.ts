// How the check of an artifact's signatures ended.

export interface SignatureOutcome {
  /** With which key, identity or policy a signature was found good. */
  verifiedBy?: string;
  /** Why nothing had to be proven; neither a success nor a failure. */
  ignored?: string;
  /** What is wrong, one sentence each, when neither of both is there. */
  problems?: string[];
  /** Against what it was checked, for the message of the failure. */
  tried?: string;
}
