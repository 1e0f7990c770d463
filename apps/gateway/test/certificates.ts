import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const hasOpenssl = (() => {
  try {
    execFileSync('openssl', ['version']);
    return true;
  } catch {
    return false;
  }
})();

/** For the name of a suite. */
export const unlessOpenssl = hasOpenssl ? '' : ' (skipped: no openssl)';

/** Makes `NAME.pem` and `NAME.key` in a folder. */
export function certificatesIn(folder: string) {
  const openssl = (...args: string[]) => execFileSync('openssl', args, { cwd: folder, stdio: 'pipe' });
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const subject = (name: string) => ['-keyout', `${name}.key`, '-subj', `/CN=${name}`];
  return {
    authority(name: string): void {
      openssl('req', '-x509', ...key, ...subject(name), '-out', `${name}.pem`, '-days', '2');
    },
    /** Signed by the authority `ca`; `alternative` is who it is for, such as `IP:127.0.0.1`. */
    certify(name: string, alternative: string, days = '2'): void {
      writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${alternative}\n`);
      openssl('req', ...key, ...subject(name), '-out', `${name}.csr`);
      const authority = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial'];
      const form = ['-days', days, '-extfile', `${name}.ext`, '-out', `${name}.pem`];
      openssl('x509', '-req', '-in', `${name}.csr`, ...authority, ...form);
    },
  };
}
