// An authority and certificates for addresses, valid and not, by openssl.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

export function createAuthority(folder, name = 'authority') {
  const openssl = (...words) => execFileSync('openssl', words, { cwd: folder, stdio: 'pipe' });
  const own = ['-keyout', `${name}.key`, '-out', `${name}.pem`];
  openssl('req', '-x509', ...newKey, ...own, '-subj', `/CN=${name}`, '-days', '2');
  return {
    file: join(folder, `${name}.pem`),
    /** @returns files of the certificate and its key. `days` may be negative. */
    certify(file, subjectAlternativeName, days = 2) {
      writeFileSync(join(folder, `${file}.ext`), `subjectAltName=${subjectAlternativeName}\n`);
      openssl('req', ...newKey, '-keyout', `${file}.key`, '-out', `${file}.csr`, '-subj', `/CN=${file}`);
      const by = ['-CA', `${name}.pem`, '-CAkey', `${name}.key`, '-CAcreateserial', '-days', String(days)];
      const signing = [...by, '-extfile', `${file}.ext`, '-out', `${file}.pem`];
      openssl('x509', '-req', '-in', `${file}.csr`, ...signing);
      return { certificate: join(folder, `${file}.pem`), key: join(folder, `${file}.key`) };
    },
  };
}
