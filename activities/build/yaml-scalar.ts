// Plain YAML scalars mean the same to every stage: k8s/yaml-scalar.ts has the rules.
export { type ResolvedScalar, resolveScalar, resolveYaml11Scalar } from '../../k8s/yaml-scalar.ts';
