/* A freestanding UEFI program that asks the TPM for the SHA-256 PCRs 0 to 7 through EFI_TCG2_PROTOCOL and prints them.
 * Offsets are those of UEFI 2.10: ConOut 64, BootServices 96, LocateProtocol 320, SubmitCommand 24. */
typedef unsigned long long u64;
typedef unsigned int u32;
typedef unsigned short char16;
typedef unsigned char u8;
#define EFIAPI __attribute__((ms_abi))
typedef u64 (EFIAPI *output_string)(void *self, const char16 *text);
typedef u64 (EFIAPI *locate_protocol)(void *guid, void *registration, void *interface);
typedef u64 (EFIAPI *submit_command)(void *self, u32 size, u8 *command, u32 room, u8 *answer);

static u8 tcg2[16] = {0x6c, 0x76, 0x7f, 0x60, 0x55, 0x74, 0xbe, 0x42, 0x93, 0x0b, 0xe4, 0xd7, 0x6d, 0xb2, 0x72, 0x0f};
static char *console;

static void print(const char16 *text)
{
    (*(output_string *)(console + 8))(console, text);
}

EFIAPI u64 entry(void *image, char *table)
{
    char *services = *(char **)(table + 96), *tpm = 0;
    char16 line[80];
    (void)image;
    console = *(char **)(table + 64);
    if ((*(locate_protocol *)(services + 320))(tcg2, 0, &tpm)) {
        print(u"no TCG2 protocol\r\n");
        return 1;
    }
    for (int pcr = 0; pcr < 8; pcr++) {
        /* TPM2_PCR_Read: no sessions, 20 bytes, one selection of SHA-256 with three bytes of bits. */
        u8 command[20] = {0x80, 1, 0, 0, 0, 20, 0, 0, 1, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 1 << pcr, 0, 0};
        u8 answer[128] = {0};
        char16 *out = line;
        u64 status = (*(submit_command *)(tpm + 24))(tpm, 20, command, 128, answer);
        *out++ = u'P', *out++ = u'C', *out++ = u'R', *out++ = u' ', *out++ = u'0' + pcr, *out++ = u' ';
        for (int i = 30; i < 62 && !status; i++) {
            *out++ = u"0123456789abcdef"[answer[i] >> 4];
            *out++ = u"0123456789abcdef"[answer[i] & 15];
        }
        *out++ = u'\r', *out++ = u'\n', *out = 0;
        print(line);
    }
    print(u"all PCRs\r\n");
    for (;;)
        __asm__ volatile("pause");
}
