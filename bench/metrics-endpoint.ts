// The API server's own metrics, as text.
import { loadClusterAccess } from '../k8s/kubeconfig.ts';
import { createRest } from '../k8s/rest.ts';

export function apiServerMetrics(kubeconfig: string): () => Promise<string> {
  const rest = createRest(loadClusterAccess({ kubeconfig }));
  return async () => {
    const lines: string[] = [];
    for await (const line of rest.lines({ method: 'GET', path: '/metrics', accept: 'text/plain' })) lines.push(line);
    return lines.join('\n');
  };
}
