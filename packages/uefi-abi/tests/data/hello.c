/* A freestanding UEFI program: it finds ConOut in the system table by the offsets of UEFI 2.10 and prints a line, through
 * a pointer in initialized data so that the image needs a relocation. Built as a static position-independent ELF file. */
typedef unsigned long long u64;
typedef unsigned short char16;
#ifdef __x86_64__
#define EFIAPI __attribute__((ms_abi))
#else
#define EFIAPI
#endif
typedef u64 (EFIAPI *output_string)(void *self, const char16 *text);

static const char16 message[] = u"relocated hello\r\n";
const char16 *volatile pointer = message;
static volatile char zeros[5000];

EFIAPI u64 entry(void *image, char *table)
{
    char *out = *(char **)(table + 64);
    (void)image;
    for (int i = 0; i < (int)sizeof zeros; i++)
        if (zeros[i]) return 1;
    (*(output_string *)(out + 8))(out, pointer);
    return 0;
}
