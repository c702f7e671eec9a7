// A gate in front of the API server: lets some requests through and holds the rest, so that a test can act while a stage
// is in its middle. Of the held ones every other has reached the server already: only its answer is held.
import { readFileSync, writeFileSync } from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { componentKubeconfig, credentialPaths } from '../../tools/platform/components.ts';
import type { Platform } from '../../tools/platform/index.ts';
import { listenOnLoopback } from '../servers/loopback.ts';

export interface HoldRule {
  /** Which requests count; the path has its query. */
  matches(method: string, path: string): boolean;
  /** How many of them go through. @default 0 */
  after?: number;
}

export interface Hold {
  /** Requests that went through. */
  passed(): number;
  /** Requests that wait at the gate, or that were dropped there. */
  held(): number;
  /** Drops the connections that wait, and lets everything through from now on. */
  release(): void;
}

export interface ApiGate {
  /** For the worker that is to go through the gate. */
  kubeconfig: string;
  hold(rule: HoldRule): Hold;
  close(): Promise<void>;
}

interface ActiveHold {
  rule: HoldRule;
  passed: number;
  held: ServerResponse[];
}

let counter = 0;

export async function startApiGate(platform: Platform): Promise<ApiGate> {
  const config = JSON.parse(readFileSync(componentKubeconfig(platform.dataDir, 'worker'), 'utf8'));
  const { server: target } = config.clusters[0].cluster;
  const agent = new Agent({ keepAlive: true, ca: readFileSync(credentialPaths(platform.dataDir).authority) });
  const holds = new Set<ActiveHold>();

  /** What the gate does with a request: nothing, hold it, or hold its answer. */
  function judge(request: IncomingMessage, response: ServerResponse): 'pass' | 'hold' | 'hold-answer' {
    for (const hold of holds) {
      if (!hold.rule.matches(request.method ?? '', request.url ?? '')) continue;
      if (hold.passed < (hold.rule.after ?? 0)) {
        hold.passed++;
        continue;
      }
      hold.held.push(response);
      return hold.held.length % 2 === 1 ? 'hold-answer' : 'hold';
    }
    return 'pass';
  }

  const server = await listenOnLoopback((request, response) => {
    const verdict = judge(request, response);
    if (verdict === 'hold') {
      request.resume();
      return;
    }
    const onward = httpsRequest(target + request.url, { agent, method: request.method, headers: request.headers });
    onward.on('response', (answer) => {
      if (verdict === 'hold-answer') {
        answer.resume();
        return;
      }
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      answer.pipe(response);
      answer.on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => onward.destroy());
    request.pipe(onward);
  });

  config.clusters[0].cluster = { server: server.url, 'insecure-skip-tls-verify': true };
  const kubeconfig = join(platform.dataDir, `gate-${counter++}.kubeconfig`);
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
  return {
    kubeconfig,
    hold(rule) {
      const hold: ActiveHold = { rule, passed: 0, held: [] };
      holds.add(hold);
      return {
        passed: () => hold.passed,
        held: () => hold.held.length,
        release() {
          holds.delete(hold);
          for (const response of hold.held) response.destroy();
        },
      };
    },
    async close() {
      await server.close();
      agent.destroy();
    },
  };
}
