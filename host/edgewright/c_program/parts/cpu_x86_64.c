/* Whether this CPU has a feature, by the name that /proc/cpuinfo has for it; -1 if that cannot be read. */
static int cpu_has(const char *feature) {
    char line[8192], *rest;
    int found = 0;
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (!file)
        return -1;
    while (!found && fgets(line, sizeof line, file)) {
        if (strncmp(line, "flags", 5))
            continue;
        for (char *word = strtok_r(line, " \t\n", &rest); word && !found; word = strtok_r(NULL, " \t\n", &rest))
            found = !strcmp(word, feature);
        break;
    }
    fclose(file);
    return found;
}
