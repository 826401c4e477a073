"""Work on several processes or nodes: settings, the queue, packs as folders, the worker in a job, and the submitter."""
