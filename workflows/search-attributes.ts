// The search attributes that make the list of runs the reconcile history. Values are names, revisions and words of the
// tables; never anything from a Secret.
import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

export const searchAttributes = {
  kind: defineSearchAttributeKey('ContinuoKind', SearchAttributeType.KEYWORD),
  namespace: defineSearchAttributeKey('ContinuoNamespace', SearchAttributeType.KEYWORD),
  name: defineSearchAttributeKey('ContinuoName', SearchAttributeType.KEYWORD),
  cluster: defineSearchAttributeKey('ContinuoCluster', SearchAttributeType.KEYWORD),
  revision: defineSearchAttributeKey('ContinuoRevision', SearchAttributeType.KEYWORD),
  trigger: defineSearchAttributeKey('ContinuoTrigger', SearchAttributeType.KEYWORD),
  outcome: defineSearchAttributeKey('ContinuoOutcome', SearchAttributeType.KEYWORD),
} as const;
