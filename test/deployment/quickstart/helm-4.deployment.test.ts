import { describePlantedFaults, describeQuickstart } from './cluster-sections.ts';

describeQuickstart('helm-4', 'kubectl-1.35');
describePlantedFaults('helm-4', 'kubectl-1.35');
