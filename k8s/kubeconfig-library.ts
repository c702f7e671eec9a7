// The kubeconfig part of @kubernetes/client-node, without the rest of it. Its config.js imports the generated classes of
// every Kubernetes API for one method that is never called here, and loading these 20 MB of source would take two thirds
// of a command's start and 45 MB of each process. So that one import is answered with nothing.
import module from 'node:module';

const generatedApi = './gen/index.js';
const nothing = 'data:text/javascript,export const createConfiguration = undefined, ServerConfiguration = undefined;';

const hooks = module.registerHooks({
  resolve(specifier, context, next) {
    const isWithinLibrary = context.parentURL?.endsWith('/@kubernetes/client-node/dist/config.js');
    if (specifier !== generatedApi || !isWithinLibrary) return next(specifier, context);
    return { url: nothing, format: 'module', shortCircuit: true };
  },
});

export const { KubeConfig } = await import('@kubernetes/client-node/dist/config.js');
export type KubeConfig = InstanceType<typeof KubeConfig>;
hooks.deregister();
