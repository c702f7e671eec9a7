import { describe, expect, test } from 'vitest';
import { optionSchema, readConfig } from './config.ts';

describe('readConfig', () => {
  test('has a default for every option', () => {
    expect(readConfig({})).toMatchObject({ TEMPORAL_ADDRESS: '127.0.0.1:7233', CONTINUO_CONCURRENT: 20 });
  });

  test('turns words into values', () => {
    const config = readConfig({ CONTINUO_CONCURRENT: '3', CONTINUO_NO_CROSS_NAMESPACE_REFS: 'true' });

    expect(config).toMatchObject({ CONTINUO_CONCURRENT: 3, CONTINUO_NO_CROSS_NAMESPACE_REFS: true });
  });

  test('takes lists of known words', () => {
    const { CONTINUO_SSH_KEX_ALGOS: kex } = readConfig({
      CONTINUO_SSH_KEX_ALGOS: 'curve25519-sha256, ecdh-sha2-nistp256',
    });

    expect(kex).toEqual(['curve25519-sha256', 'ecdh-sha2-nistp256']);
    expect(readConfig({}).CONTINUO_SSH_KEX_ALGOS).toBeUndefined();
    expect(() => readConfig({ CONTINUO_SSH_HOSTKEY_ALGOS: 'ssh-dss' })).toThrow(
      'CONTINUO_SSH_HOSTKEY_ALGOS: is no list of ssh-ed25519, ',
    );
  });

  test('an empty variable is as good as none', () => {
    expect(readConfig({ CONTINUO_CLUSTER: '' }).CONTINUO_CLUSTER).toBe('local');
  });

  test('names every bad value and every unknown option at once', () => {
    const read = () => readConfig({ CONTINUO_CONCURRENT: 'many', CONTINUO_LOG_LEVEL: 'loud', CONTINUO_SPEED: '9' });

    expect(read).toThrow(/CONTINUO_SPEED: no such option[\s\S]*CONTINUO_CONCURRENT[\s\S]*CONTINUO_LOG_LEVEL/);
  });

  test('leaves the names of the platform and the shell alone', () => {
    expect(() =>
      readConfig({ CONTINUO_ETCD: '/x', CONTINUO_GIT_URL: 'http://x', CONTINUO_UI_URL: 'http://x' }),
    ).not.toThrow();
  });

  test('every option is described', () => {
    for (const [name, schema] of Object.entries(optionSchema.shape)) {
      expect(schema.description, name).toBeTruthy();
    }
  });
});
